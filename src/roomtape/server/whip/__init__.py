"""Publishing into a room over HTTP (WHIP, RFC 9725)."""
