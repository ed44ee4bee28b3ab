"""Voices of any rates into sums."""
