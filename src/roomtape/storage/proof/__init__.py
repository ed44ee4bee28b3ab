"""What shows that a recording and its report belong together: hashes, signatures, and checking."""
