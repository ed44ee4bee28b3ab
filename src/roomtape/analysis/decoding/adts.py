"""AAC in ADTS, frame by frame. A frame that cannot be decoded counts as silence."""

from __future__ import annotations

from typing import Any, BinaryIO

import av

from .adts_walk import AdtsHeader, AdtsWalk
from .messages import END, listed, send_said
from .output import Output, UnusableFrameError
from .raw_block import holds_no_audio

_OBJECT_TYPES = {1: "main", 2: "LC", 3: "SSR", 4: "LTP"}
_CHANGES_TOLD = 5
UNDECODABLE = (av.FFmpegError, ValueError, UnusableFrameError)


def decode_adts(file: BinaryIO, size: int, pipe: BinaryIO) -> bool:
    """Decode the whole file; False if there is no frame in it that can be."""
    decoding = _Decoding(pipe)
    walk = AdtsWalk(file, size)
    for header, data in walk.frames():
        decoding.take(header, data)
    decoding.finish()
    if not decoding.output.rate_hz:
        return False
    send_said(pipe, END, damage=[*walk.damage, *decoding.damage()], notes=decoding.notes(walk))
    return True


class _Decoding:
    def __init__(self, pipe: BinaryIO) -> None:
        self.output = Output(pipe, self._describe)
        self._stream: AdtsHeader | None = None
        self._codec: av.AudioCodecContext | None = None
        self._first: AdtsHeader | None = None
        self._lost = 0
        self._empty = 0  # frames that hold something else than audio
        self._pending: list[AdtsHeader] = []
        self._ratio = (1, 1)  # decoded to coded rate: SBR doubles it

    def take(self, header: AdtsHeader, data: bytes) -> None:
        if self._stream is None or not header.same_stream(self._stream):
            codec = av.CodecContext.create("aac", "r")
            assert isinstance(codec, av.AudioCodecContext)
            self._stream, self._codec = header, codec
        assert self._codec is not None
        self._first = self._first or header
        try:
            decoded = self._codec.decode(av.Packet(data))
        except UNDECODABLE:
            decoded = []
        if not decoded:
            if holds_no_audio(data[header.header_bytes :]):
                self._empty += 1
                if not self.output.rate_hz and not self._pending:
                    return  # an encoder's name, in front of all audio
            else:
                self._lost += 1
            self._pending.append(header)
            return
        self._first = self._first if self.output.rate_hz else header
        self._ratio = (decoded[0].sample_rate, header.sample_rate)
        self.output.expect(decoded[0])
        self._fill()
        for frame in decoded:
            self.output.expect(frame)
            self.output.write(frame)

    def finish(self) -> None:
        if self.output.rate_hz:
            self._fill()
            self.output.finish()

    def damage(self) -> list[str]:
        return [f"{frames(self._lost)} cannot be decoded"] if self._lost else []

    def notes(self, walk: AdtsWalk) -> list[str]:
        notes = list(walk.notes)
        if self._empty:
            notes.append(f"{frames(self._empty)} without audio")
        return notes + changes_told(self.output)

    def _fill(self) -> None:
        """Silence for the frames before this one that could not be decoded."""
        if not self._pending:
            return
        rate_hz, ratio = self.output.rate_hz, self._ratio
        coded = sum(each.samples for each in self._pending)
        self._pending.clear()
        # In the rate of the file: what is decoded may have another one by now.
        self.output.silence(coded * ratio[0] // ratio[1] * rate_hz // ratio[0])

    def _describe(self) -> dict[str, Any]:
        assert self._first is not None
        kind = _OBJECT_TYPES[self._first.object_type]
        return {"format": f"aac adts ({kind})", "declared_s": None}


def changes_told(output: Output) -> list[str]:
    """The changes of rate and channels, in words."""
    words = [f"changes to {shape} at {at_s:.3f} s" for at_s, shape in output.changes]
    return listed(words, _CHANGES_TOLD, "changes")


def frames(count: int) -> str:
    """So many frames, in words."""
    return f"{count:,} frame{'s' * (count != 1)}"
