"""From encoded units to the disk, away from everybody else."""
