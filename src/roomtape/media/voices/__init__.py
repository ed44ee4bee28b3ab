"""Four short voices, for the demo and the tests: alice, bob, carol (Mandarin) and dave.

``README.md`` beside this file says how they were made.
"""

from __future__ import annotations

from pathlib import Path

from ...types import Pcm
from ...types.errors import ConfigurationError

VOICES: tuple[str, ...] = ("alice", "bob", "carol", "dave")
"""The names; each voice is 7 to 9 s of speech, 48 kHz mono, its peak at -6 dBFS."""

VOICE_RATE_HZ = 48000


def voice_path(name: str) -> Path:
    """The FLAC file of a voice.

    Raises:
        ConfigurationError: There is no voice of that name.
    """
    if name not in VOICES:
        raise ConfigurationError(f"there is no voice {name!r}: choose one of {', '.join(VOICES)}")
    return Path(__file__).with_name(f"{name}.flac")


def load_voice(name: str, sample_rate: int = VOICE_RATE_HZ) -> Pcm:
    """What a voice says, as int16 of shape ``(frames,)``.

    Args:
        name: One of :data:`VOICES`.
        sample_rate: Hz; at 48000 the samples are those of the file.

    Raises:
        ConfigurationError: There is no voice of that name.
    """
    # local_audio brings aiortc with it; the names and paths above are had without.
    from ..local_audio import decode_mono  # noqa: PLC0415

    return decode_mono(voice_path(name), sample_rate)
