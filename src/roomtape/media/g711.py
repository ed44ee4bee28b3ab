"""Telephone audio: ITU-T G.711, eight bits a sample, 8000 of them a second."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from ..types import Pcm

_LAWS = {"mu": "mu", "ulaw": "mu", "pcmu": "mu", "a": "a", "alaw": "a", "pcma": "a"}


@overload
def g711(data: bytes | bytearray | memoryview, law: str = "mu") -> Pcm: ...


@overload
def g711(data: npt.NDArray[np.int16], law: str = "mu") -> bytes: ...


def g711(data: Any, law: str = "mu") -> Any:
    """Decode bytes to samples; encode samples to bytes.

    Args:
        data: Bytes, one a sample; or an array of int16 of any shape, in order.
        law: "mu" (North America, Japan; RTP's PCMU, Twilio) or "a" (elsewhere; PCMA). "ulaw",
            "pcmu", "alaw", "pcma" are the same, in any case.

    Returns:
        int16 of shape ``(frames,)``; or bytes. Several channels come and go interleaved.

    Raises:
        ValueError: It is neither bytes nor int16, or there is no such law.
    """
    kind = _LAWS.get(law.lower()) if isinstance(law, str) else None
    if kind is None:
        raise ValueError(f"law is {law!r}; it must be 'mu' or 'a'")
    if isinstance(data, np.ndarray) and data.dtype == np.int16:
        codes: npt.NDArray[np.uint8] = _codes(kind)[data.reshape(-1).view(np.uint16)]
        return codes.tobytes()
    if isinstance(data, bytes | bytearray | memoryview):
        return _samples(kind)[np.frombuffer(data, np.uint8)]
    given = data.dtype if isinstance(data, np.ndarray) else type(data).__name__
    raise ValueError(f"this is {given}; G.711 is bytes, and its samples are an array of int16")


@lru_cache
def _samples(law: str) -> Pcm:
    """What each of the 256 codes means (G.711, tables 1 and 2)."""
    code = np.arange(256)
    if law == "mu":
        code = ~code & 0xFF  # sent with all bits turned over
        sign, segment, step = code & 0x80, (code >> 4) & 7, code & 15
        size = (((step << 3) + 0x84) << segment) - 0x84
        return np.where(sign, -size, size).astype(np.int16)
    code = code ^ 0x55  # every other bit
    sign, segment, step = code & 0x80, (code >> 4) & 7, code & 15
    size = (step << 4) + np.where(segment, 0x108, 8)
    size <<= np.maximum(segment - 1, 0)
    return np.where(sign, size, -size).astype(np.int16)


@lru_cache
def _codes(law: str) -> npt.NDArray[np.uint8]:
    """The code of each int16, looked up by its 16 bits: of the intervals of tables 1 and 2, that
    which holds it."""
    values = np.arange(-32768, 32768)
    if law == "mu":
        # The 14 bits of the standard; what is louder than they can say is as loud as can be.
        size = np.minimum(np.where(values < 0, -(values >> 2), values >> 2), 8158) + 33
        segment = np.clip(np.floor(np.log2(size)).astype(int) - 5, 0, 7)
        code = (segment << 4) | ((size >> (segment + 1)) & 15)
        code = ~np.where(values < 0, code | 0x80, code) & 0xFF
    else:
        size = np.where(values < 0, ~(values >> 3), values >> 3)  # 13 bits
        segment = np.where(size < 32, 0, np.floor(np.log2(np.maximum(size, 1))).astype(int) - 4)
        step = np.where(segment < 2, size >> 1, size >> np.maximum(segment, 1)) & 15
        code = ((segment << 4) | step) ^ np.where(values < 0, 0x55, 0xD5)
    table = np.empty(65536, np.uint8)
    table[values.astype(np.int16).view(np.uint16)] = code
    return table
