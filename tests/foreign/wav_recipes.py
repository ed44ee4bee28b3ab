"""WAV headers, thirty kinds of them and more: how to write each."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RATE_HZ = 8000
FRAMES = 1000
_GUID = bytes.fromhex("000000001000800000aa00389b71")


@dataclass(frozen=True)
class Wav:
    """One file, and what is in it.

    Attributes:
        data: All of it.
        channels, rate_hz, frames: What a reader should find.
        tolerance: By how many steps of 16 bits readers may differ: those that round.
        damage: Words that the damage should have; None for none.
        note: The same of a note.
        alone: We read it, and others give nothing.
    """

    data: bytes
    channels: int = 1
    rate_hz: int = RATE_HZ
    frames: int = FRAMES
    tolerance: int = 0
    damage: str | None = None
    note: str | None = None
    alone: bool = False


def signal(channels: int = 1, frames: int = FRAMES) -> np.ndarray:
    """int16, ``(frames, channels)``: another tone on each."""
    turns = np.arange(frames)[:, None] * (0.05 + 0.013 * np.arange(channels))
    return np.rint(np.sin(turns) * 20000).astype("<i2")


def chunk(name: bytes, data: bytes, *, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(data)) + data + bytes(len(data) % 2)


def fmt(
    tag: int = 1,
    channels: int = 1,
    bits: int = 16,
    *,
    rate_hz: int = RATE_HZ,
    align: int | None = None,
    extra: bytes = b"",
    order: str = "<",
) -> bytes:
    align = -(-bits // 8) * channels if align is None else align
    head = struct.pack(
        f"{order}HHIIHH", tag, channels, rate_hz, rate_hz * align & 0xFFFFFFFF, align, bits
    )
    return chunk(b"fmt ", head + extra, order=order)


def extensible(tag: int, channels: int, bits: int, *, valid: int = 0, mask: int = 0) -> bytes:
    extra = struct.pack("<HHIH", 22, valid or bits, mask, tag) + _GUID
    return fmt(0xFFFE, channels, bits, extra=extra)


def riff(*chunks: bytes, name: bytes = b"RIFF", size: int | None = None, order: str = "<") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return name + struct.pack(f"{order}I", len(body) if size is None else size) + body


def data(samples: np.ndarray | bytes, *, size: int | None = None) -> bytes:
    raw = samples if isinstance(samples, bytes) else samples.tobytes()
    return b"data" + struct.pack("<I", len(raw) if size is None else size) + raw


def rf64(name: bytes, samples: np.ndarray, *, sizes_right: bool = True, rest: bytes = b"") -> bytes:
    raw = samples.tobytes()
    total = 4 + 8 + 28 + 24 + 8 + len(raw) + len(rest)
    ds64 = struct.pack("<QQQI", total if sizes_right else 0, len(raw), len(samples), 0)
    return riff(
        chunk(b"ds64", ds64), fmt(), data(samples, size=0xFFFFFFFF) + rest,
        name=name, size=0xFFFFFFFF,
    )  # fmt: skip


def packed24(samples: np.ndarray) -> bytes:
    wide = samples.astype("<i4") << 8
    return wide.reshape(-1).view("u1").reshape(-1, 4)[:, :3].tobytes()


def floats(samples: np.ndarray, dtype: str) -> np.ndarray:
    return (samples / 32768).astype(dtype)


def _rifx() -> bytes:
    samples = signal().astype(">i2").tobytes()
    return riff(
        fmt(order=">"), b"data" + struct.pack(">I", len(samples)) + samples,
        name=b"RIFX", order=">",
    )  # fmt: skip


WAVS: dict[str, Callable[[], Wav]] = {
    "plain 16 bit": lambda: Wav(riff(fmt(), data(signal()))),
    "stereo": lambda: Wav(riff(fmt(1, 2), data(signal(2))), 2),
    "5.1 without a mask": lambda: Wav(riff(fmt(1, 6), data(signal(6))), 6),
    "5.1 with a mask": lambda: Wav(riff(extensible(1, 6, 16, mask=0x3F), data(signal(6))), 6),
    "8 channels": lambda: Wav(riff(extensible(1, 8, 16, mask=0x63F), data(signal(8))), 8),
    "16 channels": lambda: Wav(riff(extensible(1, 16, 16), data(signal(16))), 16),
    "70 channels": lambda: Wav(riff(extensible(1, 70, 16), data(signal(70))), 70),
    "8 bit": lambda: Wav(
        riff(fmt(bits=8), data(((signal() >> 8) + 128).astype("u1"))), tolerance=0
    ),
    "12 bit": lambda: Wav(riff(fmt(bits=12), data(signal() & ~0xF))),
    "20 bit": lambda: Wav(riff(fmt(bits=20), data(packed24(signal())))),
    "24 bit": lambda: Wav(riff(fmt(bits=24), data(packed24(signal())))),
    "24 bit stereo": lambda: Wav(riff(fmt(1, 2, 24), data(packed24(signal(2)))), 2),
    "24 bit extensible": lambda: Wav(riff(extensible(1, 1, 24, mask=4), data(packed24(signal())))),
    "24 in 32 bit": lambda: Wav(
        riff(extensible(1, 1, 32, valid=24, mask=4), data(signal().astype("<i4") << 16))
    ),
    "32 bit": lambda: Wav(riff(fmt(bits=32), data(signal().astype("<i4") << 16))),
    "64 bit": lambda: Wav(riff(fmt(bits=64), data(signal().astype("<i8") << 48))),
    "float": lambda: Wav(riff(fmt(3, 1, 32), data(floats(signal(), "<f4")))),
    "double": lambda: Wav(riff(fmt(3, 1, 64), data(floats(signal(), "<f8")))),
    "float extensible": lambda: Wav(
        riff(extensible(3, 2, 32, mask=3), data(floats(signal(2), "<f4"))), 2
    ),
    "float with a fact chunk": lambda: Wav(
        riff(
            fmt(3, 1, 32, extra=b"\0\0"),
            chunk(b"fact", struct.pack("<I", FRAMES)),
            data(floats(signal(), "<f4")),
        )
    ),
    "fmt of 18 bytes": lambda: Wav(riff(fmt(extra=b"\0\0"), data(signal()))),
    "fmt of 40 bytes for plain PCM": lambda: Wav(riff(fmt(extra=bytes(24)), data(signal()))),
    "block align of 4 for 16 bit mono": lambda: Wav(
        riff(fmt(align=4), data(signal())), note="claims 4 bytes"
    ),
    "block align of 1": lambda: Wav(riff(fmt(align=1), data(signal())), note="claims 1 bytes"),
    "block align of 0": lambda: Wav(riff(fmt(align=0), data(signal())), note="claims 0 bytes"),
    "RIFX": lambda: Wav(_rifx()),
    "RF64": lambda: Wav(rf64(b"RF64", signal())),
    "BW64": lambda: Wav(rf64(b"BW64", signal())),
    "RF64 without its RIFF size": lambda: Wav(
        rf64(b"RF64", signal(), sizes_right=False), note="declares"
    ),
    "chunks of all kinds in front": lambda: Wav(
        riff(
            chunk(b"JUNK", bytes(28)),
            chunk(b"bext", bytes(602)),
            fmt(),
            chunk(b"cue ", bytes(4)),
            chunk(b"LIST", b"INFOISFT\6\0\0\0abcde\0"),
            data(signal()),
        )
    ),
    "an odd chunk in front": lambda: Wav(riff(chunk(b"note", b"abc"), fmt(), data(signal()))),
    "chunks of all kinds behind": lambda: Wav(
        riff(
            fmt(),
            data(signal()),
            chunk(b"_PMX", b"<xmp/>"),
            chunk(b"id3 ", bytes(11)),
            chunk(b"LGWV", bytes(8)),
            chunk(b"iXML", bytes(20)),
            chunk(b"AFAn", bytes(3)),
            chunk(b"[a]!", bytes(4)),
        )
    ),
    "odd data with its padding": lambda: Wav(
        riff(fmt(bits=8), data(((signal(frames=999) >> 8) + 128).astype("u1")) + b"\0"),
        frames=999,
        tolerance=0,
    ),
    "odd data without its padding": lambda: Wav(
        riff(fmt(bits=8), data(((signal(frames=999) >> 8) + 128).astype("u1"))),
        frames=999,
        tolerance=0,
    ),
    "an ID3v1 tag behind": lambda: Wav(
        riff(fmt(), data(signal())) + b"TAG" + bytes(125), note="a tag of 128 bytes"
    ),
    "a RIFF size of 0": lambda: Wav(riff(fmt(), data(signal()), size=0), note="declares 8 bytes"),
    "a RIFF size that is too large": lambda: Wav(
        riff(fmt(), data(signal()), size=0x7FFFFFFF), note="declares"
    ),
    "sizes left open": lambda: Wav(
        riff(fmt(), data(signal(), size=0xFFFFFFFF), size=0xFFFFFFFF), damage="leaves the length"
    ),
    "a data size of 0": lambda: Wav(
        riff(fmt(), data(signal(), size=0), size=0), damage="leaves the length", alone=True
    ),
    "cut in the middle of a sample": lambda: Wav(
        riff(fmt(), data(signal()))[:-101], frames=949, damage="the last sample is cut"
    ),
    "a rate of 11025 Hz": lambda: Wav(riff(fmt(rate_hz=11025), data(signal())), rate_hz=11025),
    "a rate of 192 kHz": lambda: Wav(riff(fmt(rate_hz=192000), data(signal())), rate_hz=192000),
    "the bytes a second are wrong": lambda: Wav(
        riff(fmt(), data(signal())).replace(
            struct.pack("<II", 8000, 16000), struct.pack("<II", 8000, 1)
        )
    ),
}
"""What is PCM: every reader, ours too, gives its very samples."""
