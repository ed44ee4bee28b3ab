"""Ways in from what others have made. Each module stands alone, and
imports the framework that it is for, if any."""
