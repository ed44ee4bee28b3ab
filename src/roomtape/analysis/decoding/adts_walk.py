"""The frames of an ADTS file, found again after whatever is not one.

ADTS: ISO/IEC 13818-7, 6.2 (``adts_frame``) and ISO/IEC 14496-3, 1.A.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from .tags import tag_bytes

HEADER_BYTES = 7
SAMPLES_PER_BLOCK = 1024

_RATES_HZ = (
    96000,
    88200,
    64000,
    48000,
    44100,
    32000,
    24000,
    22050,
    16000,
    12000,
    11025,
    8000,
    7350,
)
_SEARCH_BYTES = 1 << 16
_SYNC = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")
_NEW_STREAM_FRAMES = 4
"""So many in a row are another stream, and no accident."""
_DAMAGES_TOLD = 10


@dataclass(frozen=True, slots=True)
class AdtsHeader:
    """One frame's header.

    Attributes:
        object_type: MPEG-4 audio object type; 2 is AAC-LC.
        sample_rate: Hz, of the core coder.
        channels: The channel configuration; 0 means that the frame itself says it.
        frame_bytes: Of the whole frame, header included.
        samples: A channel.
        header_bytes: Of the header: more than 7 with a checksum.
    """

    object_type: int
    sample_rate: int
    channels: int
    frame_bytes: int
    samples: int
    header_bytes: int

    def same_stream(self, other: AdtsHeader) -> bool:
        """Whether the fixed parts agree, as they do throughout a stream."""
        return (self.object_type, self.sample_rate, self.channels) == (
            other.object_type,
            other.sample_rate,
            other.channels,
        )


def parse_adts_header(head: bytes) -> AdtsHeader | None:
    """The header at the beginning of ``head``; None if there is none."""
    if len(head) < HEADER_BYTES or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return None
    rate_index = head[2] >> 2 & 0xF
    frame_bytes = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    header_bytes = HEADER_BYTES if head[1] & 1 else HEADER_BYTES + 2  # with a CRC
    if rate_index >= len(_RATES_HZ) or frame_bytes <= header_bytes:
        return None
    return AdtsHeader(
        object_type=(head[2] >> 6) + 1,
        sample_rate=_RATES_HZ[rate_index],
        channels=(head[2] & 1) << 2 | head[3] >> 6,
        frame_bytes=frame_bytes,
        samples=SAMPLES_PER_BLOCK * ((head[6] & 3) + 1),
        header_bytes=header_bytes,
    )


@dataclass
class AdtsWalk:
    """Walks the frames of one file, once.

    A frame counts where the previous one ended, or, after damage, where another frame of the
    same stream (or the end of the file) follows it. Another stream, as in files that somebody put
    together, begins where several frames of it stand in a row.

    Attributes:
        file: Open for reading, seekable; buffered generously by its owner.
        size: How many of its bytes to look at.
        frame_total_bytes: Bytes of all frames so far.
        damage: What is wrong so far, in words.
        notes: What is odd so far, in words.
    """

    file: BinaryIO
    size: int
    frame_total_bytes: int = 0
    damage: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _stream: AdtsHeader | None = None
    _damages: int = 0

    def frames(self) -> Iterator[tuple[AdtsHeader, bytes]]:
        """Header and bytes (header included) of each whole frame, in order."""
        position = tags = 0
        while position < self.size:
            header = self._whole_frame(position)
            if header is None:
                tag = tag_bytes(self._read, position, self.size)
                if tag:
                    tags += tag
                    position += tag
                    continue
                found = self._search(position + 1)
                self._tell(position, found)
                position = found
                continue
            self._stream = header
            self.frame_total_bytes += header.frame_bytes
            yield header, self._read(position, header.frame_bytes)
            position += header.frame_bytes
        if tags:
            self.notes.append(f"{tags:,} bytes of tags")
        if self._damages > _DAMAGES_TOLD:
            self.damage.append(f"and {self._damages - _DAMAGES_TOLD} more such places")

    def _header(self, position: int) -> AdtsHeader | None:
        return parse_adts_header(self._read(position, HEADER_BYTES))

    def _stream_header(self, position: int) -> AdtsHeader | None:
        """The header here, if it is one of the stream, or the first of another stream."""
        header = self._header(position)
        if header is None or self._stream is None or header.same_stream(self._stream):
            return header
        following: AdtsHeader | None = header
        for _ in range(_NEW_STREAM_FRAMES - 1):
            assert following is not None
            position += following.frame_bytes
            if position == self.size:
                return header
            following = self._header(position)
            if following is None or not following.same_stream(header):
                return None
        return header

    def _whole_frame(self, position: int) -> AdtsHeader | None:
        """The header of the frame here, unless the frame is cut."""
        header = self._stream_header(position)
        if header is None or position + header.frame_bytes > self.size:
            return None
        if self._chained(position, header):
            return header
        # What follows is damaged; if the next good frame begins inside this one, this is too.
        inside = self._search(position + 1, position + header.frame_bytes)
        return header if self._stream and inside == position + header.frame_bytes else None

    def _chained(self, position: int, header: AdtsHeader) -> bool:
        end = position + header.frame_bytes
        if end >= self.size:
            return end == self.size
        following = self._header(end)
        # The last frame of a cut file has no room for a header behind it.
        return (following is not None and following.same_stream(header)) or (
            self._stream is not None and end + HEADER_BYTES > self.size
        )

    def _search(self, start: int, end: int | None = None) -> int:
        """Where, from ``start``, the next chained frame begins; ``end`` if nowhere before it."""
        end = self.size if end is None else end
        while start < end:
            # One byte more: a sync word may lie on the border.
            piece = self._read(start, min(_SEARCH_BYTES + 1, end + 1 - start))
            for match in _SYNC.finditer(piece):
                at = start + match.start()
                header = self._stream_header(at)
                if at < end and header and self._chained(at, header):
                    return at
            start += _SEARCH_BYTES
        return end

    def _tell(self, position: int, found: int) -> None:
        self._damages += 1
        if self._damages > _DAMAGES_TOLD:
            return
        length = found - position
        if found < self.size:
            self.damage.append(
                f"{length:,} bytes at byte {position:,} are no frame; resynchronised at byte "
                f"{found:,}"
            )
        elif (header := self._header(position)) and header.frame_bytes > length:
            self.damage.append(f"the last frame is cut: {length:,} of {header.frame_bytes:,} bytes")
        else:
            self.damage.append(f"the last {length:,} bytes are no frame")

    def _read(self, position: int, count: int) -> bytes:
        self.file.seek(position)
        return self.file.read(max(0, min(count, self.size - position)))
