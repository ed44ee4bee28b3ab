"""What is noted beside recordings, for those who come after a crash."""
