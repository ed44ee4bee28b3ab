"""Ways in from what others have made. Each module stands alone, and imports no framework."""
