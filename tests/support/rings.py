"""Rings as recorders leave them, of this version and of the first, and ways to harm their heads."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roomtape.storage.adts import ADTS_HEADER_BYTES, silent_frame
from roomtape.storage.disk import Disk
from roomtape.storage.ring import Ring, RingLayout, pack_slot
from roomtape.storage.sink import SinkFormat
from roomtape.types import AudioFormat

RATE_HZ = 16000
STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)
HEAD_BYTES = 4096


def ring_format(suffix: str) -> SinkFormat:
    """What a recording of ten seconds has."""
    wav = suffix == "wav"
    return SinkFormat(
        audio_format=AudioFormat(suffix),
        rate_hz=RATE_HZ,
        unit_samples=RATE_HZ // 10 if wav else 1024,
        most_unit_bytes=RATE_HZ // 5 if wav else 775,
        cycle_s=10,
        started_at=STARTED_AT,
    )


def ring_units(suffix: str, count: int) -> list[bytes]:
    """Units that tell their number, and are what they say: PCM, or frames."""
    if suffix == "wav":
        return [(number + 1).to_bytes(2, "little") * (RATE_HZ // 10) for number in range(count)]
    frame = silent_frame(RATE_HZ)
    return [frame[:ADTS_HEADER_BYTES] + frame[ADTS_HEADER_BYTES:] for _ in range(count)]


def left_ring(path: Path, units: int) -> Path:
    """The ring of a recorder that wrote so many units and was killed."""
    suffix = path.suffix[1:]
    ring = Ring(path, ring_format(suffix), Disk())
    ring.write(ring_units(suffix, units))
    os.close(ring._fd)
    return ring.ring_path


def first_version_ring(path: Path, units: int, **changed: Any) -> Path:
    """The same as the first version left it: one head, without a checksum."""
    suffix = path.suffix[1:]
    layout = RingLayout(path, ring_format(suffix), heads=1)
    said = {
        "path": str(path),
        "format": suffix,
        "rate_hz": RATE_HZ,
        "unit_samples": layout.sink_format.unit_samples,
        "most_unit_bytes": layout.sink_format.most_unit_bytes,
        "cycle_s": 10,
        "started_at": STARTED_AT.isoformat(),
        **changed,
    }
    data = bytearray(layout.file_bytes)
    head = b"ROOMTAPE RING 1\n" + json.dumps(said).encode()
    data[: len(head)] = head
    for number, unit in enumerate(ring_units(suffix, units)):
        slot = pack_slot(number, unit)
        data[layout.offset(number) : layout.offset(number) + len(slot)] = slot
    ring = path.with_name(path.name + ".ring")
    ring.write_bytes(data)
    return ring


def edit_heads(ring: Path, edit: Callable[[bytes], bytes], *, forged: bool = False) -> None:
    """Change the JSON of both heads; ``forged`` has the checksums right again."""
    data = bytearray(ring.read_bytes())
    for start in (0, HEAD_BYTES):
        length, crc = struct.unpack_from("<II", data, start + 16)
        said = edit(bytes(data[start + 24 : start + 24 + length]))
        if forged:
            length, crc = len(said), zlib.crc32(said)
        head = data[start : start + 16] + struct.pack("<II", length, crc) + said
        data[start : start + HEAD_BYTES] = head.ljust(HEAD_BYTES, b"\0")
    ring.write_bytes(data)
