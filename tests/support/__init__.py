"""Helpers that speak the domain: signals to record, and foreign programs to read files with."""
