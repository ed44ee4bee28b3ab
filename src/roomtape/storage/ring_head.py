"""The head of a ring: what is recorded, where to, and so where each slot is.

It stands there twice, each time in a block of the disk of its own, with a checksum::

    "ROOMTAPE RING 2\\n", bytes (u32) and CRC-32 (u32) of the JSON behind them, zero-padded to 4096

The first version had one, without a checksum. Where no head is whole, the layout is found by trying
what the heads say and what a recording can have: the slots themselves tell which one is right.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..types import CHANNELS, SAMPLE_RATES_HZ, AudioFormat, AudioRecordingCycleTime
from ..types.errors import FileError
from .sink import SinkFormat

HEAD_BYTES = 4096
RING_HEADER_BYTES = 2 * HEAD_BYTES
SLOT_HEAD_BYTES = 16
_MAGIC = b"ROOMTAPE RING 2\n"
_FIRST_MAGIC = b"ROOMTAPE RING 1\n"
_CHECK = struct.Struct("<II")
_MOST_UNIT_BYTES = 1 << 20
_MOST_UNIT_S = 10
_CYCLES_S = [int(each) for each in AudioRecordingCycleTime if each]
_AAC_UNIT_SAMPLES = 1024
_AAC_UNIT_BYTES = {1: 775, 2: 1543}
_FIRST_YEAR, _LAST_YEAR = 1970, 9000
_NO_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RingLayout:
    """What the head of a ring says."""

    path: Path
    """The target."""
    sink_format: SinkFormat
    heads: int = 2
    """How often the head is there: once in the first version."""
    certain: bool = True
    """Whether a checksum vouches for it."""
    first_unit: int = 0
    """The unit of the recording that it begins with: not 0 where a live file came before, or of the
    stem of somebody who came late."""
    stems: Path | None = None
    """The directory of the recording's stems, if it has any."""
    recording: Path | None = None
    """Of a stem: what it is beside."""

    @property
    def slot_bytes(self) -> int:
        return SLOT_HEAD_BYTES + self.sink_format.most_unit_bytes

    @property
    def slots(self) -> int:
        # The window, and one more: it rarely begins and ends at the border of a unit.
        return -(-self.window_samples // self.sink_format.unit_samples) + 1

    @property
    def window_samples(self) -> int:
        return self.sink_format.cycle_s * self.sink_format.rate_hz

    @property
    def file_bytes(self) -> int:
        return self.heads * HEAD_BYTES + self.slots * self.slot_bytes

    @property
    def started_at(self) -> datetime | None:
        """When the recording began; None where the head that said so is lost."""
        return None if self.sink_format.started_at == _NO_TIME else self.sink_format.started_at

    def offset(self, number: int) -> int:
        return self.heads * HEAD_BYTES + number % self.slots * self.slot_bytes

    def packed(self) -> bytes:
        """The head, twice.

        Raises:
            FileError: The path is too long for it.
        """
        fields: dict[str, Any] = {
            "path": str(self.path),
            "format": self.sink_format.audio_format.value,
            "rate_hz": self.sink_format.rate_hz,
            "unit_samples": self.sink_format.unit_samples,
            "most_unit_bytes": self.sink_format.most_unit_bytes,
            "cycle_s": self.sink_format.cycle_s,
            "started_at": self.sink_format.started_at.isoformat(),
        }
        if self.sink_format.channels > 1:  # what says nothing of channels has one
            fields["channels"] = self.sink_format.channels
        if self.first_unit:
            fields["first_unit"] = self.first_unit
        for name, path in (("stems", self.stems), ("recording", self.recording)):
            if path is not None:
                fields[name] = str(path)
        said = json.dumps(fields).encode("utf-8", "surrogateescape")
        head = _MAGIC + _CHECK.pack(len(said), zlib.crc32(said)) + said
        if len(head) > HEAD_BYTES:
            raise FileError(f"{self.path}: the path is too long for a cyclic recording")
        return head.ljust(HEAD_BYTES, b"\0") * 2


def is_ring(head: bytes) -> bool:
    """Whether a file that begins with these 8192 bytes says that it is a ring."""
    return head.startswith((_MAGIC, _FIRST_MAGIC)) or head[HEAD_BYTES:].startswith(_MAGIC)


def layouts(head: bytes, size: int, ring: Path) -> Iterator[RingLayout]:
    """How the slots of a ring may be laid out: surely at first, then ever less so.

    Args:
        head: The first 8192 bytes of the file.
        size: Of the file.
        ring: Where it is; its name is that of the target, where no head tells.

    Yields:
        The layout that a head with a right checksum tells, and nothing more; or else every one
        that the file's size allows, and then every one that a recording can have.
    """
    for copy in (head[:HEAD_BYTES], head[HEAD_BYTES:]):
        layout = _checked(copy)
        if layout is not None:
            yield layout
            return
    fitting: list[RingLayout] = []
    others: list[RingLayout] = []
    for layout in (*_told(head, ring), *_possible(ring)):
        (fitting if layout.file_bytes == size else others).append(layout)
    yield from fitting
    yield from others


def _checked(head: bytes) -> RingLayout | None:
    """What a head of this version says; None for one that is not whole."""
    start = len(_MAGIC) + _CHECK.size
    if not head.startswith(_MAGIC) or len(head) < start:
        return None
    length, crc = _CHECK.unpack_from(head, len(_MAGIC))
    said = head[start : start + length]
    if len(said) != length or zlib.crc32(said) != crc:
        return None
    return _parsed(said, heads=2)


def _told(head: bytes, ring: Path) -> Iterator[RingLayout]:
    """What heads say that no checksum vouches for, with the cycle that they say and any other."""
    for copy in (head[:HEAD_BYTES], head[HEAD_BYTES:]):
        said = copy[copy.find(b"{") : copy.rfind(b"}") + 1]
        heads = 1 if copy.startswith(_FIRST_MAGIC) else 2
        told = _parsed(said, heads=heads)
        if told is None:
            continue
        named = target_of(ring, told.sink_format.audio_format)
        path = told.path if told.path.name == named.name else named
        for cycle_s in (told.sink_format.cycle_s, *_CYCLES_S):
            sink_format = dataclasses.replace(told.sink_format, cycle_s=cycle_s)
            yield RingLayout(path, sink_format, heads, certain=False)


def _parsed(said: bytes, *, heads: int) -> RingLayout | None:
    """The layout in a head's JSON; None where a recording cannot have it."""
    try:
        fields = json.loads(said.decode("utf-8", "surrogateescape"))
        sink_format = SinkFormat(
            audio_format=AudioFormat(fields["format"]),
            rate_hz=_whole(fields["rate_hz"]),
            unit_samples=_whole(fields["unit_samples"]),
            most_unit_bytes=_whole(fields["most_unit_bytes"]),
            cycle_s=_whole(fields["cycle_s"]),
            started_at=datetime.fromisoformat(fields["started_at"]).astimezone(UTC),
            channels=_whole(fields.get("channels", 1)),
        )
        first_unit = _whole(fields.get("first_unit", 0))
        path = Path(fields["path"])
        stems, recording = (
            Path(fields[name]) if name in fields else None for name in ("stems", "recording")
        )
        path_bytes = b"".join(os.fsencode(each) for each in (path, stems, recording) if each)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    audio_format = sink_format.audio_format
    rate_hz, unit = sink_format.rate_hz, sink_format.unit_samples
    possible = (
        _FIRST_YEAR <= sink_format.started_at.year <= _LAST_YEAR
        and rate_hz in SAMPLE_RATES_HZ
        and sink_format.channels in CHANNELS
        and 0 < sink_format.cycle_s <= max(_CYCLES_S)
        and rate_hz // 100 <= unit <= _MOST_UNIT_S * rate_hz
        and 0 < sink_format.most_unit_bytes <= _MOST_UNIT_BYTES
        and (
            audio_format is AudioFormat.AAC
            or sink_format.most_unit_bytes >= sink_format.frame_bytes * unit
        )
        and first_unit >= 0
        and path.suffix.lower() == f".{audio_format.value}"
        and b"\0" not in path_bytes
    )
    if not possible:
        return None
    return RingLayout(
        path, sink_format, heads, first_unit=first_unit, stems=stems, recording=recording
    )


def _whole(number: Any) -> int:
    if type(number) is not int:
        raise TypeError(f"{number!r} is no whole number")
    return number


def _possible(ring: Path) -> Iterator[RingLayout]:
    """Every layout that this program's recordings have, for the target that the ring is named
    after."""
    for channels, audio_format, rate_hz, cycle_s, heads in itertools.product(
        CHANNELS, AudioFormat, SAMPLE_RATES_HZ, _CYCLES_S, (2, 1)
    ):
        if (channels, heads) == (2, 1):
            continue  # the first version had one channel
        wav = audio_format is AudioFormat.WAV
        sink_format = SinkFormat(
            audio_format,
            rate_hz,
            unit_samples=rate_hz // 10 if wav else _AAC_UNIT_SAMPLES,
            most_unit_bytes=rate_hz // 5 * channels if wav else _AAC_UNIT_BYTES[channels],
            cycle_s=cycle_s,
            started_at=_NO_TIME,
            channels=channels,
        )
        yield RingLayout(target_of(ring, audio_format), sink_format, heads, certain=False)


def target_of(ring: Path, audio_format: AudioFormat) -> Path:
    """What the recording of a ring would have been called, by the name of the ring."""
    stem = ring.with_suffix("") if ring.suffix == ".ring" else ring
    if stem.suffix[1:].isdecimal():
        stem = stem.with_suffix("")
    suffix = f".{audio_format.value}"
    return stem if stem.suffix.lower() == suffix else stem.with_name(stem.name + suffix)
