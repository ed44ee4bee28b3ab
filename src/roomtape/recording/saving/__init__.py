"""Saving the last seconds of a recording that goes on."""
