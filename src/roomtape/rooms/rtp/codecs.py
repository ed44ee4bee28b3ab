"""The decoder for each codec that audio can come in."""

from __future__ import annotations

import av
import numpy as np

from ...types import Pcm
from .opus import RATE_HZ, Decoder, UndecodableError, opus_decoder

_CLOCK_HZ = 8000
"""Of all codecs here, also that of G.722, whose samples come at 16 kHz (RFC 3551, 4.5.2)."""
_FFMPEG = {"pcmu": ("pcm_mulaw", 8000), "pcma": ("pcm_alaw", 8000), "g722": ("g722", 16000)}


def decoder_for(codec: str) -> Decoder:
    """A decoder for one stream of ``opus``, ``pcmu``, ``pcma`` or ``g722``."""
    return opus_decoder() if codec == "opus" else _TelephoneDecoder(codec)


def clock_hz_of(codec: str) -> int:
    """What the RTP timestamps of such a stream count in a second."""
    return RATE_HZ if codec == "opus" else _CLOCK_HZ


class _TelephoneDecoder:
    """G.711 and G.722: a byte holds one sample at 8 kHz, or two at 16 kHz."""

    clock_hz = _CLOCK_HZ

    def __init__(self, codec: str) -> None:
        name, self.rate_hz = _FFMPEG[codec]
        decoder = av.CodecContext.create(name, "r")
        assert isinstance(decoder, av.AudioCodecContext)
        self._decoder = decoder
        self._decoder.layout = "mono"
        self._decoder.sample_rate = self.rate_hz

    def samples(self, payload: bytes) -> int:
        return len(payload) * self.rate_hz // _CLOCK_HZ

    def decode(self, payload: bytes) -> Pcm:
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise UndecodableError(str(error)) from None
        pieces = [frame.to_ndarray()[0] for frame in frames]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

    def recover(self, payload: bytes) -> Pcm | None:  # noqa: ARG002
        return None
