"""A recorder process: it is told which rooms to record, and says how that goes."""
