"""The cue points of a WAV file as libsndfile reads them."""

from __future__ import annotations

import struct
from pathlib import Path

import soundfile

_GET_COUNT, _GET = 0x10CD, 0x10CE  # SFC_GET_CUE_COUNT, SFC_GET_CUE
_POINT = struct.Struct("<iIiiiI256s")  # SF_CUE_POINT
_MOST = 100


def read_cues_libsndfile(path: Path) -> list[tuple[int, str]]:
    """Sample and words of each, the first hundred, in the order of the file."""
    library, ffi = soundfile._snd, soundfile._ffi
    with soundfile.SoundFile(path) as file:
        count = ffi.new("uint32_t *")
        if not library.sf_command(file._file, _GET_COUNT, count, 4):
            return []
        room = ffi.new("char[]", 4 + _MOST * _POINT.size)
        library.sf_command(file._file, _GET, room, 4 + _MOST * _POINT.size)
        data = bytes(ffi.buffer(room, 4 + min(count[0], _MOST) * _POINT.size))[4:]
    return [
        (sample, name.split(b"\0", 1)[0].decode(errors="replace"))
        for _, _, _, _, _, sample, name in _POINT.iter_unpack(data)
    ]
