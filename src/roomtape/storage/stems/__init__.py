"""Stems on disk: a file for each participant beside the mix, and projects that editors open."""
