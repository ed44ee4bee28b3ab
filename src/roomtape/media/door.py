"""What a program may push: checked, and turned into our own types, before anything else sees it."""

from __future__ import annotations

import math
import operator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, SupportsIndex, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from ..types import NS_PER_S, AudioFrame, Pcm
from ..types.clock import Clock
from .frames import pcm_of, pts_of

if TYPE_CHECKING:
    import av

RATES_HZ = range(4000, 384001)
MOST_CHANNELS = 32
MOST_PTS = 1 << 62
"""Timestamps beyond it are no position on any clock, and sums with them would not fit 64 bits."""

_MOST_PTS_RATE = 10**9
_MOST_AHEAD_NS = NS_PER_S
"""Sound cards tell when a buffer will have been captured, and are a little ahead of it."""

_BYTES = ("B", "b", "c")
_TAKEN = (
    "an array of int16 or float32, PCM16 as bytes, bytearray or memoryview, or an audio frame of "
    "PyAV or LiveKit"
)


class LiveKitFrame(Protocol):
    """The shape of a ``livekit.rtc.AudioFrame``."""

    @property
    def data(self) -> memoryview: ...

    @property
    def sample_rate(self) -> int: ...

    @property
    def num_channels(self) -> int: ...

    @property
    def samples_per_channel(self) -> int: ...


Pushed: TypeAlias = (
    "npt.NDArray[Any] | bytes | bytearray | memoryview | AudioFrame | av.AudioFrame | LiveKitFrame"
)
"""What can be pushed."""
WholeNumber: TypeAlias = SupportsIndex | float
"""A float must be a whole number."""


class Taken(NamedTuple):
    """What was pushed.

    Attributes:
        pcm: int16, shape ``(frames,)`` or ``(frames, channels)``. It may share memory with what was
            pushed.
        sample_rate: Hz.
        pts: What a frame says of itself, in samples at its rate; None where it says nothing.
    """

    pcm: Pcm
    sample_rate: int
    pts: int | None = None


class Door:
    """Of one source. What a chunk of bytes ends with and is no whole sample waits for the next."""

    def __init__(self) -> None:
        self._left = b""

    def take(self, data: object, sample_rate: object, channels: object = None) -> Taken:
        """Turn what was pushed into our own types.

        Args:
            data: An array of int16 or of floats (full scale is 1.0), shape ``(frames,)`` or
                ``(frames, channels)``; PCM16 in any buffer of bytes; an ``av.AudioFrame``; or what
                has the shape of a ``livekit.rtc.AudioFrame``.
            sample_rate: Any integer-like number, or a float if it is a whole one; None where the
                frame has it.
            channels: So many are interleaved in what is flat: bytes, or an array with one
                dimension. None means one.

        Raises:
            ValueError: One of them cannot be taken as such.
        """
        count = None if channels is None else _checked_channels(channels)
        if isinstance(data, np.ndarray):
            return Taken(_from_array(data, count), checked_rate(sample_rate))
        if isinstance(data, AudioFrame):
            pcm = _from_array(data.pcm, count)
            return Taken(pcm, _rate_of(data, sample_rate), data.pts)
        if _is_av_frame(data):
            return Taken(pcm_of(data), _rate_of(data, sample_rate), pts_of(data))
        if _is_livekit_frame(data):
            return Taken(_of_livekit(data), _rate_of(data, sample_rate))
        try:
            view = memoryview(data)  # type: ignore[arg-type]  # whatever it is
        except TypeError:
            raise ValueError(
                f"pushed audio is of type {type(data).__name__}; it must be {_TAKEN}"
            ) from None
        rate_hz = checked_rate(sample_rate)
        if view.format not in _BYTES:
            return Taken(_from_array(np.asarray(view), count), rate_hz)
        return Taken(self._from_bytes(view, count or 1), rate_hz)

    def forget(self) -> None:
        """What is pushed next does not go on with what was pushed before."""
        self._left = b""

    def _from_bytes(self, view: memoryview, channels: int) -> Pcm:
        left, self._left = self._left, b""
        plain = left + bytes(view)
        whole = len(plain) - len(plain) % (2 * channels)
        self._left = plain[whole:]
        pcm = np.frombuffer(plain, "<i2", whole // 2).astype(np.int16, copy=False)
        return pcm if channels == 1 else pcm.reshape(-1, channels)


def _from_array(given: npt.NDArray[np.generic], channels: int | None) -> Pcm:
    shaped = given
    if given.ndim == 1 and channels is not None and channels > 1:
        if len(given) % channels:
            raise ValueError(
                f"pushed audio has {len(given)} samples, which are no whole frames of {channels} "
                "channels"
            )
        shaped = given.reshape(-1, channels)
    kind, size = given.dtype.kind, given.dtype.itemsize
    if not (kind == "f" or (kind == "i" and size == 2)) or shaped.ndim not in (1, 2):
        raise ValueError(
            f"pushed audio is {given.dtype} of shape {given.shape}; it must be int16 or float32 of "
            "shape (frames,) or (frames, channels)"
        )
    if shaped.ndim == 2 and not 1 <= shaped.shape[1] <= MOST_CHANNELS:
        raise ValueError(
            f"pushed audio has {shaped.shape[1]} channels; the shape must be (frames, channels)"
        )
    if shaped.ndim == 2 and channels is not None and shaped.shape[1] != channels:
        raise ValueError(f"pushed audio has {shaped.shape[1]} channels, not {channels}")
    if kind == "i":
        return shaped.astype(np.int16, copy=False)
    # What is not a number is silence; what is too loud is as loud as can be.
    scaled = np.nan_to_num(shaped.astype(np.float32) * np.float32(32768), nan=0.0)
    whole: Pcm = np.clip(np.rint(scaled), -32768, 32767).astype(np.int16)
    return whole


def _is_av_frame(data: object) -> TypeGuard[av.AudioFrame]:
    return all(hasattr(data, name) for name in ("planes", "layout", "format", "samples"))


def _is_livekit_frame(data: object) -> TypeGuard[LiveKitFrame]:
    return all(hasattr(data, name) for name in ("data", "num_channels", "samples_per_channel"))


def _of_livekit(frame: LiveKitFrame) -> Pcm:
    channels = _checked_channels(frame.num_channels)
    flat = np.frombuffer(frame.data, np.int16)
    if len(flat) % channels:
        raise ValueError(f"a frame of {len(flat)} samples has no {channels} channels")
    return flat if channels == 1 else flat.reshape(-1, channels)


def _rate_of(frame: object, given: object) -> int:
    own = checked_rate(getattr(frame, "sample_rate", None))
    if given is not None and checked_rate(given) != own:
        raise ValueError(f"the frame is of {own} Hz, and sample_rate says {_short(given)}")
    return own


def checked_rate(given: object) -> int:
    """A sample rate in Hz.

    Raises:
        ValueError: It is none.
    """
    rate = _whole(given)
    if rate is None or rate not in RATES_HZ:
        raise ValueError(
            f"sample_rate is {_short(given)}; it must be {RATES_HZ[0]} to {RATES_HZ[-1]}"
        )
    return rate


def checked_pts(given: object) -> int:
    """A timestamp.

    Raises:
        ValueError: It is none.
    """
    pts = _whole(given)
    if pts is None:
        raise ValueError(f"pts is {_short(given)}; it must be a whole number of samples, or None")
    if not -MOST_PTS < pts < MOST_PTS:
        raise ValueError(f"pts is {_short(given)}; no clock has come so far (2**62 is the most)")
    return pts


def checked_pts_rate(given: object) -> int:
    """How many of a timestamp's units make a second.

    Raises:
        ValueError: It is no such number.
    """
    per_s = _whole(given)
    if per_s is None or not 1 <= per_s <= _MOST_PTS_RATE:
        raise ValueError(f"pts_rate is {_short(given)}; it must be 1 to {_MOST_PTS_RATE}")
    return per_s


def checked_captured(captured_ns: object, captured_at: object, clock: Clock) -> int | None:
    """When something was heard, on ``clock``; None if nobody says so.

    Raises:
        ValueError: It is no time, or still to come.
    """
    if captured_ns is None and captured_at is None:
        return None
    now_ns = clock.now_ns()
    if captured_ns is not None:
        if captured_at is not None:
            raise ValueError("captured_ns and captured_at say the same: give one of them")
        heard_ns = _whole(captured_ns)
        if heard_ns is None:
            raise ValueError(f"captured_ns is {_short(captured_ns)}; it must be whole nanoseconds")
    else:
        heard_ns = now_ns - _age_ns(captured_at, clock)
    if heard_ns - now_ns > _MOST_AHEAD_NS:
        raise ValueError(
            f"what is heard in {(heard_ns - now_ns) / NS_PER_S:.1f} s cannot have been captured: "
            "captured_ns is of time.monotonic_ns(), captured_at of time.time()"
        )
    return max(heard_ns, -MOST_PTS)


def _age_ns(captured_at: object, clock: Clock) -> int:
    if isinstance(captured_at, datetime):
        if captured_at.tzinfo is None:
            raise ValueError("captured_at has no time zone: datetime.now(UTC) has")
        return round((clock.utc() - captured_at).total_seconds() * NS_PER_S)
    if isinstance(captured_at, int | float | np.floating) and math.isfinite(captured_at):
        return round((clock.utc().timestamp() - float(captured_at)) * NS_PER_S)
    raise ValueError(f"captured_at is {_short(captured_at)}; it must be a datetime or seconds")


def _checked_channels(given: object) -> int:
    channels = _whole(given)
    if channels is None or not 1 <= channels <= MOST_CHANNELS:
        raise ValueError(f"channels is {_short(given)}; it must be 1 to {MOST_CHANNELS}")
    return channels


def _whole(given: object) -> int | None:
    if type(given) is int:  # nearly always, and to ask for a protocol is dear
        return given
    if isinstance(given, float | np.floating) and given.is_integer():
        return int(given)
    if isinstance(given, SupportsIndex) and not isinstance(given, bool):
        try:
            return operator.index(given)
        except TypeError:  # an array of several, say
            return None
    return None


def _short(given: object) -> str:
    try:
        text = repr(given)
    except Exception as error:  # ten thousand digits, say
        text = f"{type(given).__name__} ({error})"
    return text if len(text) <= 60 else f"{text[:57]}..."
