"""Audio over RTP, whoever signals: what comes in, in order and decoded, and what goes out."""
