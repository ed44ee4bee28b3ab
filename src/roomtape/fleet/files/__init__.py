"""What a worker has on its disk: names of folders, what a crash left, what is old."""
