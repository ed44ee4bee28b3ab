"""Frames of AAC in which there is no audio: an encoder's name, and the like.

ISO/IEC 14496-3, 4.4.2: ``raw_data_block``, ``data_stream_element``, ``fill_element``.
"""

from __future__ import annotations

_DATA_STREAM, _FILL, _END = 4, 6, 7


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self.left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next bits; zeros behind the end."""
        self.left -= count
        return self._value >> self.left & (1 << count) - 1 if self.left >= 0 else 0


def holds_no_audio(block: bytes) -> bool:
    """Whether a raw data block holds nothing but fill and data elements, up to its very end.

    Args:
        block: One frame without its ADTS header.
    """
    bits = _Bits(block)
    while bits.left >= 3:
        element = bits.take(3)
        if element == _END:
            return bits.left < 8
        if element == _FILL:
            count = bits.take(4)
            if count == 15:
                count += bits.take(8) - 1
        elif element == _DATA_STREAM:
            bits.take(4)
            aligned = bits.take(1)
            count = bits.take(8)
            if count == 255:
                count += bits.take(8)
            if aligned:
                bits.take(bits.left % 8)
        else:
            return False
        bits.take(8 * count)
    return False
