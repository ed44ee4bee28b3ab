"""What FFmpeg decodes, in a process of its own: the side that listens."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from ..types import Block, Pcm
from ..types.errors import DamagedFileError
from .audio_reader import AudioReader
from .decoding import messages
from .decoding.limits import MOST_CPU_S
from .wav_walk import WavLayout

_PACKAGE = __package__
_ROOT = str(Path(__file__).parents[2])
_PIPE_BYTES = 1 << 20


class DecodedReader(AudioReader):
    """One file, as another process decodes it.

    Args:
        path: What it is called.
        file: The same, open.
        kind: ``"adts"``, or ``"container"`` for whatever FFmpeg knows.
        wav: Its chunks, where it is a WAV file with a codec in it.

    Raises:
        DamagedFileError: There is no audio in it that can be decoded.
    """

    def __init__(self, path: Path, file: BinaryIO, kind: str, wav: WavLayout | None = None) -> None:
        super().__init__(path)
        self._file = file
        self._process = _start("wav" if wav else kind, file)
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        if wav is not None:
            self.damage += wav.damage
            self.notes += wav.notes
        try:
            self._read_header(wav)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._process.kill()
        self._pipe.close()
        self._process.wait()
        self._file.close()

    def _read_header(self, wav: WavLayout | None) -> None:
        _, said = self._next()
        header = json.loads(said)
        self.format = str(header["format"])
        if wav is not None:
            self.format = f"{wav.container} {self.format.partition(' ')[2]}"
        self.sample_rate = int(header["rate_hz"])
        self.channels = int(header["channels"])
        self.speakers = tuple(header["speakers"])
        self.declared_s = header["declared_s"] if wav is None else None
        self._integers = header["sample_bytes"] == 2
        self._frame_bytes = self.channels * (2 if self._integers else 4)

    def _raw_blocks(self) -> Iterator[Pcm | Block]:
        waiting: list[Pcm | Block] = []
        frames = 0
        for piece in self._pieces():
            waiting.append(piece)
            frames += len(piece)
            if frames >= self.block_frames:
                yield _joined(waiting)
                waiting, frames = [], 0
        if waiting:
            yield _joined(waiting)

    def _pieces(self) -> Iterator[Pcm | Block]:
        while True:
            kind, payload = self._next()
            if kind == messages.END:
                said = json.loads(payload)
                self.damage += said["damage"]
                self.notes += said["notes"]
                return
            if kind == messages.SILENCE:
                yield from self._silence(messages.frames_of_silence(payload))
                continue
            samples = self._samples(payload)
            if kind == messages.PLANAR:
                yield samples.reshape(self.channels, -1).T
            else:
                yield samples.reshape(-1, self.channels)

    def _samples(self, data: bytes) -> Pcm | Block:
        return np.frombuffer(data, np.int16) if self._integers else np.frombuffer(data, np.float32)

    def _silence(self, frames: int) -> Iterator[Pcm | Block]:
        while frames:
            count = min(frames, self.block_frames)
            yield self._samples(bytes(count * self._frame_bytes)).reshape(count, self.channels)
            frames -= count

    def _next(self) -> tuple[bytes, bytes]:
        message = messages.receive(self._pipe)
        if message is None:
            raise DamagedFileError(f"{self.path}: cannot be decoded: {self._end_in_words()}")
        if message[0] == messages.FAILURE:
            raise self._failed(json.loads(message[1]))
        return message

    def _failed(self, said: dict[str, Any]) -> DamagedFileError:
        if said["audio"]:
            return DamagedFileError(f"{self.path}: {said['why']}")
        return DamagedFileError(f"{self.path}: {not_audio(self.path, self._file)}")

    def _end_in_words(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            return f"FFmpeg had given nothing for {MOST_CPU_S} s"
        if code < 0:
            return f"FFmpeg crashed on it ({signal.Signals(-code).name})"
        return "FFmpeg ended on it"


def _joined(blocks: list[Pcm | Block]) -> Pcm | Block:
    # All are of one type, which NumPy's types cannot say.
    return cast("Pcm | Block", np.concatenate(blocks)) if len(blocks) > 1 else blocks[0]


def not_audio(path: Path, file: BinaryIO) -> str:
    """How a file begins that is none of audio."""
    kind = {".wav": "a WAV file", ".aac": "an AAC file"}.get(path.suffix.lower(), "an audio file")
    file.seek(0)
    return f"not {kind}: it begins with {file.read(12).decode('latin-1')!r}"


def _start(kind: str, file: BinaryIO) -> subprocess.Popen[bytes]:
    paths = [_ROOT, os.environ.get("PYTHONPATH", "")]
    # Not from the working directory (-P): a stranger's files may lie there.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", f"{_PACKAGE}.decoding", kind],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=_PIPE_BYTES,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
