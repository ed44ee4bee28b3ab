"""Any audio file as blocks of samples, with what is wrong with it.

WAV and ADTS, which Roomtape writes, are walked by our own parsers, because a decoder hides
damage; every other format is left to FFmpeg.
"""

from __future__ import annotations

import io
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from ..errors import DamagedFileError, FileError
from ..types import Block, Pcm
from .adts_walk import AdtsHeader, AdtsWalk
from .wav_walk import WavLayout, begins_as_wav, walk_wav

_BLOCK_FRAMES = 1 << 16
_READ_BUFFER_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
_OBJECT_TYPES = {1: "main", 2: "LC", 3: "SSR", 4: "LTP"}
# A decoded length differs from a container's claim by rounding, priming and padding.
_DURATION_TOLERANCE_S = 0.5
_LOST_PACKETS = 1000
"""A file of which so many packets are lost is not worth going on with."""
_UNDECODABLE = (av.FFmpegError, ValueError)


class AudioReader(ABC):
    """One file, read once: first the attributes, then :meth:`blocks`, then ``damage``.

    Attributes:
        path: The file.
        format: Container and codec, such as ``"wav pcm_s16le"``.
        sample_rate: Hz.
        channels: At least 1.
        declared_s: The length that the file claims; None where it claims none.
        damage: What is wrong, in words; complete when :meth:`blocks` has ended.
        block_frames: How long the next block should be, where the format leaves that open.
    """

    path: Path
    format: str = ""
    sample_rate: int = 0
    channels: int = 0
    declared_s: float | None = None
    damage: list[str]
    block_frames: int = _BLOCK_FRAMES

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """The samples, ``(frames, channels)`` float32 a block, full scale 1.0; only once."""

    def pcm_blocks(self) -> Iterator[Pcm]:
        """The same as int16, rounded; instead of :meth:`blocks`."""
        for block in self.blocks():
            yield np.clip(np.rint(block * np.float32(32768)), -32768, 32767).astype(np.int16)


def open_audio(path: str | Path) -> AudioReader:
    """Find out what a file is.

    Raises:
        FileError: It is missing, or cannot be read.
        DamagedFileError: There is no audio in it that can be read.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise FileError(f"{path}: this is a directory; name an audio file")
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if not head:
            raise DamagedFileError(f"{path}: the file is empty (0 bytes)")
        if begins_as_wav(head):
            layout = walk_wav(path)
            pcm = layout.format.codec == "pcm_s16le"
            return PcmReader(path, layout) if pcm else ContainerReader(path, layout)
        if (path.suffix.lower() == ".aac" or head[0] == 0xFF) and _holds_adts(head):
            return AdtsReader(path)
        return ContainerReader(path)
    except FileNotFoundError:
        raise FileError(f"{path}: no such file") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None


def _holds_adts(head: bytes) -> bool:
    return next(AdtsWalk(io.BytesIO(head), len(head)).frames(), None) is not None


class PcmReader(AudioReader):
    """A WAV or RF64 file of 16-bit PCM."""

    def __init__(self, path: Path, layout: WavLayout) -> None:
        self.path = path
        self.format = f"{layout.container} {layout.format.codec}"
        self.sample_rate = layout.format.sample_rate
        self.channels = layout.format.channels
        if layout.declared_frames is not None:
            self.declared_s = layout.declared_frames / self.sample_rate
        self.damage = list(layout.damage)
        self._layout = layout

    def blocks(self) -> Iterator[Block]:
        for pcm in self.pcm_blocks():
            yield pcm.astype(np.float32) / np.float32(32768)

    def pcm_blocks(self) -> Iterator[Pcm]:
        frame_bytes = 2 * self.channels
        left = self._layout.frames
        with self.path.open("rb") as file:
            file.seek(self._layout.data_start)
            while left:
                data = file.read(min(left, self.block_frames) * frame_bytes)
                frames = len(data) // frame_bytes
                if not frames:
                    self.damage.append(
                        f"the file became shorter while it was read, by {left} samples"
                    )
                    return
                pcm = np.frombuffer(data, "<i2", frames * self.channels)
                yield pcm.reshape(frames, self.channels)
                left -= frames


class AdtsReader(AudioReader):
    """AAC in ADTS, frame by frame. A frame that cannot be decoded counts as silence."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = []
        self._pieces = self._decode()
        first = next(self._pieces, None)
        if first is None:
            raise DamagedFileError(f"{path}: none of its AAC frames can be decoded")
        self._first = first

    def blocks(self) -> Iterator[Block]:
        pieces = itertools.chain([self._first], self._pieces)
        while batch := list(itertools.islice(pieces, _BLOCK_FRAMES // 1024)):
            yield np.concatenate(batch)

    def _decode(self) -> Iterator[Block]:
        decoder = av.CodecContext.create("aac", "r")
        assert isinstance(decoder, av.AudioCodecContext)
        lost = pending = 0
        with self.path.open("rb", buffering=_READ_BUFFER_BYTES) as file:
            walk = AdtsWalk(file, self.path.stat().st_size)
            for header, data in walk.frames():
                try:
                    decoded = decoder.decode(av.Packet(data))
                except _UNDECODABLE:
                    decoded = []
                if not decoded:
                    lost += 1
                    pending += header.samples
                    continue
                if not self.format:
                    # The decoder knows for certain; SBR doubles the rate of the header.
                    self.sample_rate = decoded[0].sample_rate
                    self.channels = len(decoded[0].layout.channels)
                    self.format = f"aac adts ({_OBJECT_TYPES[header.object_type]})"
                if pending:
                    yield self._silence(pending, header)
                    pending = 0
                for frame in decoded:
                    yield _samples(frame)
        if pending and self.format:
            yield self._silence(pending, header)
        self.damage += walk.damage
        if lost:
            self.damage.append(f"{_frames(lost)} cannot be decoded")

    def _silence(self, coded_samples: int, header: AdtsHeader) -> Block:
        frames = coded_samples * self.sample_rate // header.sample_rate
        return np.zeros((frames, self.channels), np.float32)


class ContainerReader(AudioReader):
    """The first audio stream of whatever FFmpeg reads."""

    def __init__(self, path: Path, wav: WavLayout | None = None) -> None:
        self.path = path
        self.damage = list(wav.damage) if wav else []
        self._judged = wav is not None
        try:
            with av.open(str(path)) as container:
                if not container.streams.audio:
                    raise DamagedFileError(f"{path}: there is no audio in this file")
                stream = container.streams.audio[0]
                self.sample_rate = stream.codec_context.sample_rate
                self.channels = stream.codec_context.channels
                codec = stream.codec_context.name
                if container.duration is not None:
                    self.declared_s = container.duration / av.time_base
                # FFmpeg names a family: "mov,mp4,m4a,3gp,3g2,mj2".
                name = container.format.name.split(",")[0]
        except _UNDECODABLE as error:
            raise DamagedFileError(f"{path}: {_not_audio(path, error)}") from None
        if not (self.sample_rate and self.channels):
            # FFmpeg guesses from the name, and finds out too late that it was wrong.
            raise DamagedFileError(f"{path}: {_not_audio(path)}")
        self.format = f"{wav.container} {wav.format.codec}" if wav else f"{name} {codec}"
        wanted = path.suffix.lower()
        if wanted in (".wav", ".aac") and wav is None:
            self.damage.append(f"named {wanted}, but is {name}")

    def blocks(self) -> Iterator[Block]:
        lost = frames = 0
        with av.open(str(self.path)) as container:
            stream = container.streams.audio[0]
            resampler = av.AudioResampler("fltp", stream.layout, self.sample_rate)
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    if packet is None:
                        break
                    for decoded in packet.decode():
                        decoded.pts = None
                        for frame in resampler.resample(decoded):
                            frames += frame.samples
                            yield _samples(frame)
                except _UNDECODABLE:
                    lost += 1
                    if lost > _LOST_PACKETS:
                        break
        if lost:
            self.damage.append(f"{_frames(lost)} cannot be decoded")
        readable_s = frames / self.sample_rate
        if (
            not self._judged
            and self.declared_s is not None
            and self.declared_s - readable_s > _DURATION_TOLERANCE_S
        ):
            self.damage.append(
                f"damaged, {readable_s:.1f} s readable of {self.declared_s:.1f} s declared"
            )


def _samples(frame: av.AudioFrame) -> Block:
    """A planar float frame as ``(frames, channels)``."""
    return np.ascontiguousarray(frame.to_ndarray().T, np.float32)


def _frames(count: int) -> str:
    return f"{count:,} frame{'s' * (count != 1)}"


def _not_audio(path: Path, error: Exception | None = None) -> str:
    if isinstance(error, OSError) and not isinstance(error, av.InvalidDataError | av.EOFError):
        return f"cannot be read: {error.strerror or error}"
    kind = {".wav": "a WAV file", ".aac": "an AAC file"}.get(path.suffix.lower(), "an audio file")
    with path.open("rb") as file:
        head = file.read(12)
    return f"not {kind}: it begins with {head.decode('latin-1')!r}"
