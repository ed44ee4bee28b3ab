"""Opus (RFC 6716): decoding with in-band FEC, and encoding that brings it.

FFmpeg, and so PyAV, calls libopus, but neither decodes what a packet says of the one before it
(FEC), nor can an encoder be told in mid-call how much is lost. So libopus is called here directly
(ctypes): the one that PyAV's wheels bring, or the system's. Where there is none new enough,
PyAV does the work, without FEC.
"""

from __future__ import annotations

import ctypes
import functools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np

from ...types import Pcm

logger = logging.getLogger(__name__)

RATE_HZ = 48000
"""The clock of Opus over RTP, whatever the encoder's own rate (RFC 7587)."""
_MOST_SAMPLES = 5760
"""120 ms, the longest packet."""
_MOST_BYTES = 1500
_APPLICATION_AUDIO = 2049
_SET_BITRATE = 4002
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014
_EXPECTED_LOSS_PERCENT = 10
"""libopus needs to expect so much before it spends bits on FEC for any kind of sound."""

_VOID, _INT, _BYTES = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "opus_decoder_create": (_VOID, [_INT, _INT, ctypes.POINTER(_INT)]),
    "opus_decoder_destroy": (None, [_VOID]),
    "opus_decode": (_INT, [_VOID, _BYTES, ctypes.c_int32, _VOID, _INT, _INT]),
    "opus_packet_get_samples_per_frame": (_INT, [_BYTES, ctypes.c_int32]),
    "opus_packet_has_lbrr": (_INT, [_BYTES, ctypes.c_int32]),
    "opus_encoder_create": (_VOID, [_INT, _INT, _INT, ctypes.POINTER(_INT)]),
    "opus_encoder_destroy": (None, [_VOID]),
    "opus_encode": (ctypes.c_int32, [_VOID, _VOID, _INT, _VOID, ctypes.c_int32]),
}


class UndecodableError(ValueError):
    """These bytes are no packet of the codec."""


class Decoder(Protocol):
    """Decodes the packets of one stream, in order."""

    rate_hz: int
    """Of what comes out ..."""
    clock_hz: int
    """... and of its RTP timestamps."""

    def samples(self, payload: bytes) -> int:
        """How much audio a packet holds, in samples at ``rate_hz``; 0 if it is none."""

    def decode(self, payload: bytes) -> Pcm:
        """The audio of a packet, mono.

        Raises:
            UndecodableError: It is none.
        """

    def recover(self, payload: bytes) -> Pcm | None:
        """What the packet before this one held, if this one says. Before :meth:`decode`."""


@functools.cache
def libopus() -> Any:
    """The library; None where there is none that has all that is needed."""
    for name in _places():
        try:
            library = ctypes.CDLL(name)
            for function, (result, arguments) in _FUNCTIONS.items():
                getattr(library, function).restype = result
                getattr(library, function).argtypes = arguments
        except (OSError, AttributeError):
            continue
        return library
    logger.warning("there is no libopus 1.5 or newer: what FEC could make up for stays lost")
    return None


def _places() -> Iterator[str]:
    packages = Path(av.__file__).parent
    for folder in (packages.parent / "av.libs", packages / ".dylibs"):
        yield from map(str, sorted(folder.glob("libopus*")))
    yield from ("libopus.so.0", "libopus.0.dylib")


def opus_decoder() -> Decoder:
    """A decoder for one stream, at 48 kHz. It mixes stereo down itself, at half the cost of doing
    it afterwards."""
    library = libopus()
    return _AvOpusDecoder() if library is None else _OpusDecoder(library)


class _OpusDecoder:
    rate_hz = clock_hz = RATE_HZ

    def __init__(self, library: Any) -> None:
        self._library = library
        self._state = _Owned(
            library.opus_decoder_create(RATE_HZ, 1, None), library.opus_decoder_destroy
        )
        self._pcm = np.empty(_MOST_SAMPLES, np.int16)
        self._to = self._pcm.ctypes.data

    def samples(self, payload: bytes) -> int:
        return packet_samples(payload)

    def decode(self, payload: bytes) -> Pcm:
        return self._call(payload, _MOST_SAMPLES, fec=False)

    def recover(self, payload: bytes) -> Pcm | None:
        if self._library.opus_packet_has_lbrr(payload, len(payload)) != 1:
            return None  # asked nevertheless, the decoder would make something up
        length = self._library.opus_packet_get_samples_per_frame(payload, RATE_HZ)
        return self._call(payload, length, fec=True)

    def _call(self, payload: bytes, room: int, *, fec: bool) -> Pcm:
        decoded = self._library.opus_decode(
            self._state.pointer, payload, len(payload), self._to, room, int(fec)
        )
        if decoded <= 0:
            raise UndecodableError(f"{len(payload)} bytes are no packet of Opus")
        return self._pcm[:decoded].copy()


class _AvOpusDecoder:
    rate_hz = clock_hz = RATE_HZ

    def __init__(self) -> None:
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.format = "s16"
        self._decoder.layout = "mono"
        self._decoder.sample_rate = RATE_HZ

    def samples(self, payload: bytes) -> int:
        return packet_samples(payload)

    def decode(self, payload: bytes) -> Pcm:
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise UndecodableError(str(error)) from None
        return np.concatenate([frame.to_ndarray()[0] for frame in frames])

    def recover(self, payload: bytes) -> Pcm | None:  # noqa: ARG002
        return None


def packet_samples(payload: bytes) -> int:
    """How long a packet is, at 48 kHz, by its first bytes (RFC 6716, section 3.1)."""
    if not payload:
        return 0
    mode = payload[0] >> 3
    if mode < 12:
        frame = (480, 960, 1920, 2880)[mode % 4]
    elif mode < 16:
        frame = (480, 960)[mode % 2]
    else:
        frame = (120, 240, 480, 960)[mode % 4]
    counted = payload[1] & 63 if len(payload) > 1 else 0
    frames = (1, 2, 2, counted)[payload[0] & 3]
    return frame * frames if frame * frames <= _MOST_SAMPLES else 0


class Encoder(Protocol):
    """Encodes mono audio at 48 kHz, 20 ms at a time."""

    def encode(self, pcm: Pcm) -> bytes: ...

    def expect_loss(self, share: float) -> None:
        """So much of what is sent does not arrive; beyond 1 %, packets bring FEC."""


def opus_encoder(bit_rate: int) -> Encoder:
    library = libopus()
    return _AvOpusEncoder(bit_rate) if library is None else _OpusEncoder(library, bit_rate)


class _OpusEncoder:
    def __init__(self, library: Any, bit_rate: int) -> None:
        self._library = library
        self._state = _Owned(
            library.opus_encoder_create(RATE_HZ, 1, _APPLICATION_AUDIO, None),
            library.opus_encoder_destroy,
        )
        self._set(_SET_BITRATE, bit_rate)
        self._set(_SET_INBAND_FEC, 1)
        self._percent = 0
        self._packet = ctypes.create_string_buffer(_MOST_BYTES)

    def encode(self, pcm: Pcm) -> bytes:
        pcm = np.ascontiguousarray(pcm, np.int16)
        length = self._library.opus_encode(
            self._state.pointer, pcm.ctypes.data, len(pcm), self._packet, _MOST_BYTES
        )
        if length < 0:
            raise ValueError(f"libopus cannot encode {len(pcm)} samples (error {length})")
        return self._packet.raw[:length]

    def expect_loss(self, share: float) -> None:
        percent = max(_EXPECTED_LOSS_PERCENT, round(100 * share)) if share > 0.01 else 0
        if percent != self._percent:
            self._percent = percent
            self._set(_SET_PACKET_LOSS_PERC, min(percent, 100))

    def _set(self, what: int, value: int) -> None:
        self._library.opus_encoder_ctl(_VOID(self._state.pointer), _INT(what), _INT(value))


class _AvOpusEncoder:
    def __init__(self, bit_rate: int) -> None:
        self._encoder = av.CodecContext.create("libopus", "w")
        self._encoder.bit_rate = bit_rate
        self._encoder.format = "s16"
        self._encoder.layout = "mono"
        self._encoder.sample_rate = RATE_HZ
        self._encoder.options = {
            "application": "audio",
            "frame_duration": "20",
            "fec": "1",
            "packet_loss": str(_EXPECTED_LOSS_PERCENT),
        }

    def encode(self, pcm: Pcm) -> bytes:
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), "s16", "mono")
        frame.sample_rate = RATE_HZ
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))

    def expect_loss(self, share: float) -> None:
        """PyAV's is told once, at its making."""


class _Owned:
    """A pointer that libopus gave, and how to give it back."""

    def __init__(self, pointer: int | None, give_back: Callable[[int], None]) -> None:
        if not pointer:
            raise MemoryError("libopus has no memory")
        self.pointer = pointer
        self._give_back = give_back

    def __del__(self) -> None:
        pointer, self.pointer = getattr(self, "pointer", 0), 0
        if pointer:
            self._give_back(pointer)
