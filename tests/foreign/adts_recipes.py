"""ADTS files, a dozen kinds of them and more: how to make each, of frames that ffmpeg encodes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from roomtape.storage.adts import ADTS_HEADER_BYTES, frame_at, with_mark

FRAME = 1024


@lru_cache(maxsize=32)
def encoded(rate_hz: int = 32000, channels: int = 1, seconds: float = 1.0) -> tuple[bytes, ...]:
    """Frames of AAC-LC, header included."""
    source = f"anoisesrc=d={seconds}:r={rate_hz}:a=0.2:s=1"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", source]
    command += ["-ac", str(channels), "-c:a", "aac", "-b:a", "64k", "-f", "adts", "-"]
    data = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    frames, at = [], 0
    while at < len(data):
        found = frame_at(data, at)
        assert found is not None
        frames.append(data[at : found.stop])
        at = found.stop
    return tuple(frames)


@dataclass(frozen=True)
class Adts:
    """One file, and what is in it.

    Attributes:
        data: All of it.
        frames: How many samples, in frames of the first stream; fractions where the rate changes.
        channels, rate_hz: Of the first stream.
        damage, note: Words that they should have; None for none.
        same_as_ffmpeg: Whether ffmpeg reads the very same.
    """

    data: bytes
    frames: float
    channels: int = 1
    rate_hz: int = 32000
    damage: str | None = None
    note: str | None = None
    same_as_ffmpeg: bool = True


def joined(*frames: bytes) -> bytes:
    return b"".join(frames)


def with_length(frame: bytes, payload: bytes, *, protected: bool = False) -> bytes:
    """A frame with another payload, and a checksum (which nobody checks) if asked for."""
    length = ADTS_HEADER_BYTES + 2 * protected + len(payload)
    head = int.from_bytes(frame[:ADTS_HEADER_BYTES], "big") & ~(0x1FFF << 13)
    header = bytearray((head | length << 13).to_bytes(ADTS_HEADER_BYTES, "big"))
    if protected:
        header[1] &= 0xFE
    return bytes(header) + bytes(2 * protected) + payload


def mpeg2(frame: bytes) -> bytes:
    return frame[:1] + bytes([frame[1] | 8]) + frame[2:]


def fill_element(text: bytes) -> bytes:
    """A raw data block of a fill element with ``text`` (15 to 268 bytes), and END."""
    bits = f"{6:03b}{15:04b}{len(text) - 14:08b}"
    bits += "".join(f"{byte:08b}" for byte in text) + "111"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def id3v2(size: int) -> bytes:
    sizes = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\4\0\0" + sizes + bytes(size)


def ape(size: int) -> bytes:
    head = b"APETAGEX" + (2000).to_bytes(4, "little") + (size + 32).to_bytes(4, "little")
    header = head + (1).to_bytes(4, "little") + (0xA0000000).to_bytes(4, "little") + bytes(8)
    footer = head + (1).to_bytes(4, "little") + (0x80000000).to_bytes(4, "little") + bytes(8)
    return header + bytes(size) + footer


def _plain(rate_hz: int = 32000, channels: int = 1) -> Adts:
    frames = encoded(rate_hz, channels)
    return Adts(joined(*frames), len(frames), channels, rate_hz)


def _around(before: bytes = b"", behind: bytes = b"", **said: object) -> Adts:
    frames = encoded()
    return Adts(before + joined(*frames) + behind, len(frames), **said)  # type: ignore[arg-type]


def _two(rate_hz: int, channels: int) -> Adts:
    one, other = encoded(), encoded(rate_hz, channels)
    return Adts(
        joined(*one, *other),
        len(one) + len(other) * 32000 / rate_hz,
        note="changes to",
        same_as_ffmpeg=False,
    )


def _between(garbage: bytes, **said: object) -> Adts:
    frames = encoded()
    data = joined(*frames[:10], garbage, *frames[10:])
    return Adts(data, len(frames), **said)  # type: ignore[arg-type]


ADTS: dict[str, Callable[[], Adts]] = {
    "mono": _plain,
    "stereo": lambda: _plain(48000, 2),
    "5.1": lambda: _plain(48000, 6),
    "16 kHz": lambda: _plain(16000),
    "with checksums": lambda: Adts(
        joined(*(with_length(each, each[7:], protected=True) for each in encoded())),
        len(encoded()),
    ),
    "MPEG-2": lambda: Adts(joined(*map(mpeg2, encoded())), len(encoded())),
    "ID3 in front": lambda: _around(id3v2(200), note="bytes of tags"),
    "a picture of 300 kB in front": lambda: _around(id3v2(300_000), note="bytes of tags"),
    "two tags in front": lambda: _around(id3v2(200) + id3v2(100), note="bytes of tags"),
    "ID3v1 behind": lambda: _around(behind=b"TAG" + bytes(125), note="128 bytes of tags"),
    "an APE tag behind": lambda: _around(behind=ape(500), note="bytes of tags"),
    "an encoder's name in front": lambda: _around(
        with_length(encoded()[0], fill_element(b"libfaac 1.28 (UNSTABLE)")),
        note="1 frame without audio",
    ),
    "an encoder's name in every frame": lambda: Adts(
        joined(*map(with_mark, encoded())), len(encoded())
    ),
    "mono, then stereo": lambda: _two(32000, 2),
    "32, then 48 kHz": lambda: _two(48000, 1),
    "mono at 32, then stereo at 44.1 kHz": lambda: _two(44100, 2),
    "a tag in the middle": lambda: _between(
        id3v2(300), note="310 bytes of tags", same_as_ffmpeg=False
    ),
    "garbage in the middle": lambda: _between(
        b"garbage" * 40, damage="280 bytes", same_as_ffmpeg=False
    ),
    "cut": lambda: Adts(
        joined(*encoded())[:-3], len(encoded()) - 1, damage="is cut", same_as_ffmpeg=False
    ),
}
