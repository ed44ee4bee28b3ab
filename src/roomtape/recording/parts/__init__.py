"""A recording in several files, one after the other, without a seam."""
