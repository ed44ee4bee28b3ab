"""What the local user publishes: a file, any aiortc track, or what a program pushes
(:mod:`.pushed_audio`).

A :class:`LocalAudio` runs in real time, one 20 ms frame of 48 kHz mono after the other, from
:meth:`~LocalAudio.start` to :meth:`~LocalAudio.stop`. Everybody who subscribed gets each frame:
the room sends it, and the recorder records the very same samples. While muted, frames of
digital silence go out, as a browser's do. Audio that has come to its end is muted for good.

All methods belong to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from ..audio.downmix import mixed_down
from ..types import NS_PER_S, AudioFrame, Pcm
from ..types.clock import Clock
from ..types.errors import DamagedFileError, FileError
from .frames import pcm_of
from .tracks import frames_of

LOCAL_RATE_HZ = 48000
FRAME_SAMPLES = LOCAL_RATE_HZ // 50
_FRAME_NS = NS_PER_S // 50

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack

_MOST_AT_ONCE_NS = 2 * NS_PER_S
"""More than that is of no use to a listener: it is left out, and told."""

logger = logging.getLogger(__name__)

FrameListener = Callable[[AudioFrame], None]
MuteListener = Callable[[bool], None]


class LocalAudio(ABC):
    """Audio to publish: frames of :data:`FRAME_SAMPLES` at 48 kHz mono, in real time, from
    :meth:`start` to :meth:`stop`, to everybody who subscribed. On the event loop's thread."""

    def __init__(self) -> None:
        self._frame_listeners: list[FrameListener] = []
        self._mute_listeners: list[MuteListener] = []
        self._muted = False
        self._ended = False
        self._pts = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def muted(self) -> bool:
        """Whether silence goes out instead of the audio (also true after its end)."""
        return self._muted or self._ended

    @muted.setter
    def muted(self, muted: bool) -> None:
        before = self.muted
        self._muted = muted
        self._tell_muted(before)

    @property
    def ended(self) -> bool:
        """Whether the audio has come to its end."""
        return self._ended

    def subscribe(
        self, on_frame: FrameListener, on_muted: MuteListener | None = None
    ) -> Callable[[], None]:
        """Have ``on_frame`` called with every frame, until the returned function is called."""
        self._frame_listeners.append(on_frame)
        if on_muted is not None:
            self._mute_listeners.append(on_muted)

        def unsubscribe() -> None:
            with suppress(ValueError):
                self._frame_listeners.remove(on_frame)
            if on_muted is not None:
                with suppress(ValueError):
                    self._mute_listeners.remove(on_muted)

        return unsubscribe

    def start(self, clock: Clock) -> None:
        """Begin to run; does nothing if it runs already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(clock))

    async def stop(self) -> None:
        """Stop running; :meth:`start` goes on where this stopped."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @abstractmethod
    async def _run(self, clock: Clock) -> None:
        """Call :meth:`_emit` with every frame, in real time."""

    def _emit(self, pcm: Pcm) -> None:
        """Hand out one frame, ``(FRAME_SAMPLES,)``."""
        frame = AudioFrame(np.zeros_like(pcm) if self.muted else pcm, LOCAL_RATE_HZ, pts=self._pts)
        self._pts += len(pcm)
        for listener in tuple(self._frame_listeners):
            listener(frame)

    def _end(self) -> None:
        before = self.muted
        self._ended = True
        self._tell_muted(before)

    def _tell_muted(self, before: bool) -> None:
        if self.muted != before:
            for listener in tuple(self._mute_listeners):
                listener(self.muted)


class PacedAudio(LocalAudio):
    """Audio that is there before it is due: the clock sets the pace."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent_s = 0.0
        """For how long nothing was sent because the event loop had no time for it: what was due
        then is sent later, behind a gap."""

    async def _run(self, clock: Clock) -> None:
        due_ns = clock.now_ns()
        while True:
            await clock.sleep_until(due_ns)
            # A loop that was blocked finds several frames due, and sends them all at once: one in
            # each of its turns would fall behind for good where turns are long.
            too_late = (clock.now_ns() - due_ns - _MOST_AT_ONCE_NS) // _FRAME_NS
            if too_late > 0:
                self._leave_out(too_late)
                due_ns += too_late * _FRAME_NS
            for _ in range((clock.now_ns() - due_ns) // _FRAME_NS + 1):
                self._emit(self._take())
                due_ns += _FRAME_NS

    def _leave_out(self, frames: int) -> None:
        """There is a gap of so many frames in what is sent."""
        gap_s = frames * _FRAME_NS / NS_PER_S
        self.unsent_s += gap_s
        self._pts += frames * FRAME_SAMPLES
        logger.warning("local audio: nothing was sent for %.1f s: the event loop was busy", gap_s)

    @abstractmethod
    def _take(self) -> Pcm:
        """The next ``(FRAME_SAMPLES,)`` samples; silence where there are none."""


class FileAudio(PacedAudio):
    """Publishes an audio file of any format that FFmpeg reads, mixed down to mono.

    Args:
        path: The file.
        loop: Begin anew at the end, instead of ending.

    Raises:
        FileError: The file is missing or cannot be read.
        DamagedFileError: There is no audio in it.
    """

    def __init__(self, path: str | Path, *, loop: bool = False) -> None:
        super().__init__()
        self._pcm = decode_mono(path)
        self._loop = loop
        self._position = 0

    def _take(self) -> Pcm:
        if self._ended or self._muted:
            return np.zeros(FRAME_SAMPLES, np.int16)
        piece = self._pcm[self._position : self._position + FRAME_SAMPLES]
        self._position += FRAME_SAMPLES
        if self._position >= len(self._pcm):
            self._position = 0
            if not self._loop:
                # The last frame still goes out as it is; those after it are silence.
                asyncio.get_running_loop().call_soon(self._end)
        return piece if len(piece) == FRAME_SAMPLES else _padded(piece)


class TrackAudio(LocalAudio):
    """Publishes an aiortc audio track, at the track's own pace.

    Args:
        track: Any audio track that hands out PCM frames; it has no other reader.
    """

    def __init__(self, track: MediaStreamTrack) -> None:
        super().__init__()
        if track.kind != "audio":
            raise ValueError(f"a {track.kind} track cannot be published: an audio track is needed")
        self._track = track

    async def _run(self, clock: Clock) -> None:  # noqa: ARG002 (the track sets the pace)
        shaper = _Shaper()
        async for frame in frames_of(self._track, "the published track"):
            for piece in shaper.take(frame):
                self._emit(piece)
        self._end()


class _Shaper:
    """Frames of any length, rate and channel count to ``(FRAME_SAMPLES,)`` at 48 kHz."""

    def __init__(self) -> None:
        self._rate_hz = LOCAL_RATE_HZ
        self._resampler: av.AudioResampler | None = None
        self._rest = np.zeros(0, np.int16)

    def take(self, frame: AudioFrame) -> Iterator[Pcm]:
        if frame.sample_rate != self._rate_hz:
            self._rate_hz = frame.sample_rate
            # Unlike soxr's stream it holds back less than a millisecond, and somebody listens.
            self._resampler = (
                av.AudioResampler(format="s16", layout="mono", rate=LOCAL_RATE_HZ)
                if frame.sample_rate != LOCAL_RATE_HZ
                else None
            )
        self._rest = np.concatenate([self._rest, *self._converted(mixed_down(frame.pcm))])
        while len(self._rest) >= FRAME_SAMPLES:
            yield self._rest[:FRAME_SAMPLES]
            self._rest = self._rest[FRAME_SAMPLES:]

    def _converted(self, pcm: Pcm) -> list[Pcm]:
        if self._resampler is None:
            return [pcm]
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(pcm)[None, :], format="s16", layout="mono"
        )
        frame.sample_rate = self._rate_hz
        return [pcm_of(piece) for piece in self._resampler.resample(frame)]


def decode_mono(path: str | Path, sample_rate: int = LOCAL_RATE_HZ) -> Pcm:
    """Read a whole audio file as mono int16.

    Raises:
        FileError: The file is missing or cannot be read.
        DamagedFileError: There is no audio in it.
    """
    resampler = av.AudioResampler(format="s16", layout="mono", rate=sample_rate)
    pieces: list[Pcm] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise DamagedFileError(f"{path}: there is no audio in this file")
            for frame in container.decode(container.streams.audio[0]):
                frame.pts = None
                pieces += [pcm_of(out) for out in resampler.resample(frame)]
            pieces += [pcm_of(out) for out in resampler.resample(None)]
    except av.FFmpegError as error:
        if isinstance(error, FileNotFoundError):
            raise FileError(f"{path}: no such file") from None
        if isinstance(error, OSError) and error.errno is not None and not _is_damage(error):
            raise FileError(f"{path}: cannot be read: {error.strerror}") from None
        raise DamagedFileError(f"{path}: not an audio file that can be read") from None
    if not pieces or not sum(map(len, pieces)):
        raise DamagedFileError(f"{path}: there is no audio in this file")
    return np.concatenate(pieces)


def _is_damage(error: Exception) -> bool:
    return isinstance(error, av.InvalidDataError | av.EOFError)


def _padded(piece: Pcm) -> Pcm:
    return np.concatenate([piece, np.zeros(FRAME_SAMPLES - len(piece), np.int16)])
