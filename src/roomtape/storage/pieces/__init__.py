"""Pieces of a recording: read while it goes on, and made files of their own."""
