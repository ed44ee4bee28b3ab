"""Any audio file as blocks of samples, with what is wrong with it: the door.

PCM in WAV is read by ourselves, and the chunks of WAV and the frames of ADTS are walked by our own
parsers, because a decoder hides damage. What needs a decoder is decoded by FFmpeg in a process of
its own.
"""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import BinaryIO

from ..types.errors import DamagedFileError, FileError
from .audio_reader import AudioReader
from .decoded_reader import DecodedReader
from .decoding.adts_walk import AdtsWalk
from .decoding.tags import leading_tags_bytes
from .pcm_reader import PcmReader
from .wav_walk import begins_as_wav, walk_wav

__all__ = ["AudioReader", "open_audio", "read_audio"]

_HEAD_BYTES = 1 << 16


def open_audio(path: str | Path) -> AudioReader:
    """Find out what a file is. The caller closes what is given.

    Raises:
        FileError: It is missing, is no file, or cannot be read.
        DamagedFileError: There is no audio in it that can be read.
    """
    path = Path(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise FileError(f"{path}: this is a directory; name an audio file")
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path}: this is no regular file; name an audio file")
        # A larger buffer would only be in the way: blocks of samples are read past it.
        return read_audio(path, path.open("rb"))
    except FileNotFoundError:
        raise FileError(f"{path}: no such file") from None
    except ValueError:
        raise FileError(f"{str(path)!r}: no file can have this name") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None


def read_audio(path: Path, file: BinaryIO) -> AudioReader:
    """The same of a file that is open, and is closed with the reader; ``path`` is for messages.

    Raises:
        DamagedFileError: There is no audio in it that can be read.
        OSError: It cannot be read.
    """
    try:
        return _reader(path, file)
    except BaseException:
        file.close()
        raise


def _reader(path: Path, file: BinaryIO) -> AudioReader:
    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if not head:
        raise DamagedFileError(f"{path}: the file is empty (0 bytes)")
    reader: AudioReader
    if begins_as_wav(head):
        try:
            layout = walk_wav(file, size)
        except DamagedFileError as error:
            raise DamagedFileError(f"{path}: {error}") from None
        if layout.format.dtype:
            return PcmReader(path, file, layout)
        return DecodedReader(path, file, "container", layout)
    if _holds_adts(file, size, head, named=path.suffix.lower() == ".aac"):
        return DecodedReader(path, file, "adts")
    reader = DecodedReader(path, file, "container")
    wanted = path.suffix.lower()
    if wanted in (".wav", ".aac"):
        reader.notes.append(f"named {wanted}, but is {reader.format.partition(' ')[0]}")
    return reader


def _holds_adts(file: BinaryIO, size: int, head: bytes, *, named: bool) -> bool:
    """Whether frames stand at the beginning, or behind the tags there, or, by the name, soon."""

    def read_at(position: int, count: int) -> bytes:
        file.seek(position)
        return file.read(count)

    start = leading_tags_bytes(read_at, size)
    if start:
        head = read_at(start, _HEAD_BYTES)
    if not named and head[:1] != b"\xff":
        return False
    return next(AdtsWalk(io.BytesIO(head), len(head)).frames(), None) is not None
