"""Speech that is handed over faster than it is spoken: what waits, and its way into the mix."""
