"""Audio files, read: whole or damaged, of any format that FFmpeg knows."""

from .reader import AudioReader, open_audio

__all__ = ["AudioReader", "open_audio"]
