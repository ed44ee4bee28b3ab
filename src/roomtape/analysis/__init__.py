"""Looking at finished files: reading any of them, levels, damage, pictures."""
