"""Where a frame belongs: its timestamp on the sender's clock, and its place on the room's."""
