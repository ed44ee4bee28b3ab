"""Decoded frames of whatever shape, as one signal of the first one's rate, channels and width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

import av

from .limits import allow_time
from .messages import HEADER, INTERLEAVED, MOST_BYTES, PLANAR, send, send_said, send_silence

_FLUSH_BYTES = 1 << 20
_MOST_RESAMPLED_CHANNELS = 64  # of FFmpeg's resampler
_MOST_RATE_HZ = 1 << 26

Describe = Callable[[], dict[str, Any]]


class UnusableFrameError(Exception):
    """FFmpeg gave a frame that is none, or one that it cannot convert; says why."""


class Output:
    """Writes the messages.

    Args:
        pipe: Where to, buffered.
        describe: What else belongs into the header; asked for when the first frame is there.
    """

    def __init__(self, pipe: BinaryIO, describe: Describe) -> None:
        self.rate_hz = 0
        """0 until the first frame."""
        self.channels = 0
        self.position = 0
        """How many samples there are so far, at :attr:`rate_hz`."""
        self.changes: list[tuple[float, str]] = []
        """When rate or channels changed, in seconds, and to what."""
        self._pipe = pipe
        self._describe = describe
        self._layout: av.AudioLayout | None = None
        self._packed = self._planar = ""
        self._sample_bytes = 0
        self._shape: tuple[int, str, str] = (0, "", "")
        self._resampler: av.AudioResampler | None = None
        self._stale = True  # the resampler is not the one for the shape
        self._carried = 0  # of a sample, in parts of the frames' rate
        self._unflushed = 0

    def expect(self, frame: av.AudioFrame) -> None:
        """Make ready for a frame; from the first on there is a rate.

        Raises:
            UnusableFrameError: There are no samples in it that can be written.
        """
        rate_hz = frame.sample_rate
        shape = (rate_hz, frame.layout.name, frame.format.name)
        if shape == self._shape:
            return
        channels = len(frame.layout.channels)
        if not 0 < rate_hz <= _MOST_RATE_HZ or not channels or not frame.samples:
            raise UnusableFrameError(f"a frame of {channels} channels at {rate_hz} Hz")
        self._finish_resampler()
        if not self.rate_hz:
            self._begin(frame)
        elif shape[:2] != self._shape[:2]:
            self.changes.append((self.position / self.rate_hz, f"{rate_hz} Hz, {shape[1]}"))
        self._shape, self._carried = shape, 0

    def write(self, frame: av.AudioFrame) -> None:
        """The next samples, after :meth:`expect` of the same frame.

        Raises:
            UnusableFrameError: They cannot be converted to the shape of the first.
        """
        if self._stale:
            self._take_resampler(frame)
        if self._resampler is not None:
            frame.pts = None
            for each in self._resampler.resample(frame):
                self._send(each)
        else:
            self._send(frame)
        rate_hz = self._shape[0]
        if rate_hz == self.rate_hz:
            self.position += frame.samples
        else:
            whole, self._carried = divmod(frame.samples * self.rate_hz + self._carried, rate_hz)
            self.position += whole

    def silence(self, frames: int) -> None:
        """So many samples of silence."""
        self._finish_resampler()
        send_silence(self._pipe, frames)
        self.position += frames

    def finish(self) -> None:
        """Nothing follows."""
        self._finish_resampler()

    def _take_resampler(self, frame: av.AudioFrame) -> None:
        rate_hz, layout, sample_format = self._shape
        assert self._layout is not None
        # Up to two channels; of more, PyAV gives other planes than there are.
        as_it_is = (rate_hz, layout) == (self.rate_hz, self._layout.name) and (
            sample_format == self._packed or (sample_format == self._planar and self.channels <= 2)
        )
        if not as_it_is:
            if max(self.channels, len(frame.layout.channels)) > _MOST_RESAMPLED_CHANNELS:
                raise UnusableFrameError(f"{len(frame.layout.channels)} channels; 64 are the most")
            self._resampler = av.AudioResampler(self._packed, self._layout, self.rate_hz)
        self._stale = False

    def _begin(self, frame: av.AudioFrame) -> None:
        integers = frame.format.name in ("s16", "s16p")
        self.rate_hz = frame.sample_rate
        self.channels = len(frame.layout.channels)
        self._layout = frame.layout
        self._sample_bytes = 2 if integers else 4
        self._packed, self._planar = ("s16", "s16p") if integers else ("flt", "fltp")
        send_said(
            self._pipe,
            HEADER,
            rate_hz=self.rate_hz,
            channels=self.channels,
            speakers=[each.name for each in frame.layout.channels],
            sample_bytes=self._sample_bytes,
            **self._describe(),
        )
        self._pipe.flush()

    def _send(self, frame: av.AudioFrame) -> None:
        count = frame.samples * self._sample_bytes
        if frame.format.is_planar and self.channels > 1:
            kind = PLANAR
            data = b"".join(bytes(memoryview(plane)[:count]) for plane in frame.planes)
        else:
            kind = INTERLEAVED
            data = bytes(memoryview(frame.planes[0])[: count * self.channels])
        step = MOST_BYTES // 2 // self.channels // self._sample_bytes
        if frame.samples > step:
            self._send_pieces(kind, data, frame.samples, step)
        else:
            send(self._pipe, kind, data)
        self._unflushed += len(data)
        if self._unflushed >= _FLUSH_BYTES:
            self._unflushed = 0
            allow_time()

    def _send_pieces(self, kind: bytes, data: bytes, samples: int, step: int) -> None:
        width = self._sample_bytes
        if kind == PLANAR:
            left, right = data[: samples * width], data[samples * width :]
            for start in range(0, samples, step):
                piece = slice(start * width, (start + step) * width)
                send(self._pipe, kind, left[piece] + right[piece])
            return
        for start in range(0, samples, step):
            width_all = width * self.channels
            send(self._pipe, kind, data[start * width_all : (start + step) * width_all])

    def _finish_resampler(self) -> None:
        self._stale = True
        resampler, self._resampler = self._resampler, None
        if resampler is not None:
            for each in resampler.resample(None):
                self._send(each)
