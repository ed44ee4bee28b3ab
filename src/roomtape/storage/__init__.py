"""Recordings on disk: the only package that opens them."""
