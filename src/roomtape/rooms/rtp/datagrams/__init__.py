"""What stands before the sockets of a call."""
