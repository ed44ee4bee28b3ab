"""Audio that comes from no room: what is published, aiortc's tracks, files to mix, voices."""
