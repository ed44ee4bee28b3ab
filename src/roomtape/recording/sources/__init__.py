"""What a program holds of a recording: the ends that audio is pushed into."""
