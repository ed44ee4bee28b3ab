"""Where in time a frame belongs: placing, buffering, following a sender's clock."""
