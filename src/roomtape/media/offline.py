"""Mixing files as fast as it goes, by the same mixer, limiter and encoder as a live recording."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ..analysis.reader import AudioReader, open_audio
from ..audio.arrays import Samples, add
from ..audio.downmix import mixed_down
from ..audio.encoder import Encoder, make_encoder
from ..audio.limiter import Limiter
from ..audio.mixer import Mixer
from ..errors import ConfigurationError, OpenFileError
from ..storage.disk import Disk
from ..storage.finishing import write_finished
from ..storage.sink import SinkFormat
from ..types import (
    NS_PER_S,
    AudioRecordingConfiguration,
    AudioRecordingCycleTime,
    AudioRecordingPosition,
    AudioRecordingQuality,
    Pcm,
)

# What is read and summed together stays in a core's own cache, and so do the encoder's tables while
# it has more to do.
_BLOCK_S = 2
_ENCODED_BLOCKS = 2

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class MixInput:
    """A file, and when it begins.

    Attributes:
        path: Any format that FFmpeg reads.
        start_ns: Nanoseconds from sample 0 of the mix, at least 0.
    """

    path: Path
    start_ns: int = 0


@dataclass(frozen=True, slots=True)
class MixResult:
    """What came out.

    Attributes:
        path: The absolute path of the file.
        duration_s: Its length.
        limited_s: How long the sum exceeded full scale and was turned down.
        damage: What was wrong with the inputs, in words.
    """

    path: Path
    duration_s: float
    limited_s: float
    damage: tuple[str, ...]


def mix_files(
    inputs: Sequence[MixInput],
    output: str | Path,
    *,
    sample_rate: int = 32000,
    quality: AudioRecordingQuality = AudioRecordingQuality.MEDIUM,
    on_progress: Progress | None = None,
    disk: Disk | None = None,
) -> MixResult:
    """Put files on one clock and mix them into one.

    The file appears at ``output`` complete, or not at all; an older one is renamed to
    ``name.1.ext`` first.

    Args:
        inputs: What to mix.
        output: A .wav or .aac file.
        sample_rate, quality: As in :class:`AudioRecordingConfiguration`.
        on_progress: Called now and then with the seconds mixed so far.
        disk: Where the file goes.

    Raises:
        ConfigurationError: No input, a negative start, or a value that is not in the contract.
        FileError: An input cannot be read (DamagedFileError: is no audio), or the output cannot
            be created (OpenFileError).
        OSError: Writing failed; nothing has changed at ``output``.
    """
    config = AudioRecordingConfiguration(
        output,
        sample_rate=sample_rate,
        quality=quality,
        position=AudioRecordingPosition.MIXED_RECORDING_AND_PLAYBACK,
        cycle_time=AudioRecordingCycleTime.LIVE,
    )
    config.validate()
    if not inputs:
        raise ConfigurationError("there is nothing to mix: name at least one file")
    for each in inputs:
        if each.start_ns < 0:
            raise ConfigurationError(f"{each.path}: the start must not be negative")
    if config.path.is_dir():
        # A file there would be moved aside; moving a whole directory away is nobody's wish.
        raise OpenFileError(f"cannot write {config.path}: a directory stands there")
    voices = [_FileVoice(open_audio(each.path), each.start_ns) for each in inputs]
    encoder = make_encoder(config.format, sample_rate, AudioRecordingQuality(quality))
    mix = _Mix(voices, sample_rate, encoder, on_progress)
    sink_format = SinkFormat(
        audio_format=config.format,
        rate_hz=sample_rate,
        unit_samples=encoder.unit_samples,
        most_unit_bytes=encoder.most_unit_bytes,
        cycle_s=0,
        started_at=datetime.fromtimestamp(0, UTC),  # a mix began at no moment; no file says one
    )
    try:
        finished = write_finished(
            config.path, sink_format, mix.units(), skip_samples=0, first_unit=0, disk=disk or Disk()
        )
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OpenFileError(f"cannot write {config.path}: {reason}") from None
    return MixResult(
        path=finished.path,
        duration_s=finished.samples / sample_rate,
        limited_s=mix.limiter.limited_samples / sample_rate,
        damage=tuple(words for voice in voices for words in voice.damage),
    )


class _FileVoice:
    """A file as a voice of the mixer."""

    def __init__(self, reader: AudioReader, start_ns: int) -> None:
        self.rate_hz = reader.sample_rate
        self._reader = reader
        self._blocks: Iterator[Pcm] = reader.pcm_blocks()
        self._start = round(start_ns * self.rate_hz / NS_PER_S)
        self._head = 0
        self._block: Pcm = np.zeros(0, np.int16)
        self._ended = False
        self.end = self._start
        """Behind the last sample read so far."""

    @property
    def done(self) -> bool:
        return self._ended

    @property
    def damage(self) -> list[str]:
        return [f"{self._reader.path}: {words}" for words in self._reader.damage]

    def add_to(self, total: Samples, stop: int) -> None:
        at, self._head = max(0, self._start - self._head), stop
        while at < len(total) and not self._ended:
            if not len(self._block):
                self._reader.block_frames = len(total) - at  # then nothing is left over
                block = next(self._blocks, None)
                self._ended = block is None
                if block is not None:
                    self._block = mixed_down(block)
                continue
            wanted = len(total) - at
            piece, self._block = self._block[:wanted], self._block[wanted:]
            add(total[at : at + len(piece)], piece)
            at += len(piece)
            self.end += len(piece)


class _Mix:
    """The pipeline: voices to encoded units."""

    def __init__(
        self,
        voices: Sequence[_FileVoice],
        rate_hz: int,
        encoder: Encoder,
        on_progress: Progress | None,
    ) -> None:
        self._voices = voices
        self._mixer = Mixer()
        self._bus = self._mixer.add_bus(rate_hz)
        self.limiter = Limiter(rate_hz)
        self._encoder = encoder
        self._on_progress = on_progress
        for voice in voices:
            self._mixer.add(voice, (self._bus,))

    def units(self) -> Iterator[bytes]:
        blocks = self._blocks()
        while batch := list(itertools.islice(blocks, _ENCODED_BLOCKS)):
            for samples in batch:
                yield from self._encoder.encode(samples)
            if self._on_progress is not None:
                self._on_progress(self._bus.head / self._bus.rate_hz)
        yield from self._encoder.finish()

    def _blocks(self) -> Iterator[Samples]:
        bus, rate_hz = self._bus, self._bus.rate_hz
        end: int | None = None
        while end is None or bus.head < end:
            count = _BLOCK_S * rate_hz
            (samples,) = self._mixer.mix([count if end is None else min(count, end - bus.head)])
            if end is None and all(voice.done for voice in self._voices):
                # The last block was asked for before anybody knew that it was the last.
                end = max(-(-voice.end * rate_hz // voice.rate_hz) for voice in self._voices)
                samples = samples[: len(samples) - max(0, bus.head - end)]
            yield self.limiter.process(samples)
        yield self.limiter.flush()
