"""Files as strangers write them, by recipe."""
