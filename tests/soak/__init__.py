"""A long call full of faults, with every file checked: ``make soak``. See ``__main__``."""
