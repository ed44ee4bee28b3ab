"""What a recording says of itself: made, hashed, sealed, and put beside its file."""
