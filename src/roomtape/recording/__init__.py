"""One recording: what it is fed by, what drives it, and what it leaves behind."""
