"""What is left out of a recording: what stands in its place, and when it was heard."""
