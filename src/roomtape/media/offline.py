"""Mixing files as fast as it goes, by the same mixer, limiter and encoder as a live recording."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from ..analysis.reader import AudioReader, open_audio, read_audio
from ..audio.discretion.pauses import Pauses
from ..audio.encoder import Encoder, PcmEncoder, make_encoder
from ..audio.level import Level, LevelledVoice
from ..audio.mixing.mixer import Bus, Mixer
from ..audio.outputs import Output, everybody
from ..storage.disk import Disk
from ..storage.finishing import write_finished
from ..storage.sink import SinkFormat
from ..storage.wav import streamed_wav_header
from ..types import (
    AudioRecordingConfiguration,
    AudioRecordingCycleTime,
    AudioRecordingPosition,
    AudioRecordingQuality,
)
from ..types.errors import ConfigurationError, OpenFileError
from .file_voice import FileVoice

# What is read and summed together stays in a core's own cache, and so do the encoder's tables while
# it has more to do.
_BLOCK_S = 2
_ENCODED_BLOCKS = 2
_OPENED_AT_ONCE = 8

Progress = Callable[[float, float | None], None]
"""Told now and then: the seconds mixed so far, and in all, where the inputs say that."""


class MixSide(enum.StrEnum):
    """The channel of a mix of two that an input is heard in."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class MixInput:
    """A file, and when it begins.

    Attributes:
        path: Any format that FFmpeg reads.
        start_ns: Nanoseconds from sample 0 of the mix, at least 0.
        file: The same, open for reading and seekable, where ``path`` is but a name for it. It is
            closed in the end.
        side: Where it is heard in a mix of two channels; None in one of one.
    """

    path: str | os.PathLike[str]
    start_ns: int = 0
    file: BinaryIO | None = None
    side: MixSide | None = None


@dataclass(frozen=True, slots=True)
class MixedInput:
    """What became of an input.

    Attributes:
        path: As it was named.
        format, sample_rate, channels: What it was.
        start_s: Where it begins in the mix.
        duration_s: How much of it was read.
        over_db: How far it exceeds full scale, in dB; 0 if it does not.
        damage: What is missing or wrong, in words.
        notes: What is merely odd, in words.
        side: Where it is heard, left or right; None where the mix has one channel.
    """

    path: str
    format: str
    sample_rate: int
    channels: int
    start_s: float
    duration_s: float
    over_db: float
    damage: tuple[str, ...]
    notes: tuple[str, ...]
    side: MixSide | None = None


@dataclass(frozen=True, slots=True)
class MixResult:
    """What came out.

    Attributes:
        path: The absolute path of the file; ``-`` for a stream.
        duration_s: Its length.
        limited_s: How long the sum exceeded full scale and was turned down.
        damage: What was wrong with the inputs, in words.
        inputs: Each of them, in their order.
        channels: 1, or 2.
    """

    path: Path
    duration_s: float
    limited_s: float
    damage: tuple[str, ...]
    inputs: tuple[MixedInput, ...] = ()
    channels: int = 1

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready copy."""
        return {**dataclasses.asdict(self), "path": str(self.path)}


def mix_files(
    inputs: Sequence[MixInput],
    output: str | os.PathLike[str],
    *,
    sample_rate: int = 32000,
    quality: AudioRecordingQuality = AudioRecordingQuality.MEDIUM,
    channels: int | None = None,
    level: bool = False,
    on_progress: Progress | None = None,
    disk: Disk | None = None,
) -> MixResult:
    """Put files on one clock and mix them into one.

    The file appears at ``output`` complete, or not at all; an older one is renamed to
    ``name.1.ext`` first.

    Args:
        inputs: What to mix. Several channels become one by :mod:`roomtape.media.mono`.
        output: A .wav or .aac file.
        sample_rate, quality: As in :class:`AudioRecordingConfiguration`.
        channels: 1, or 2, in which each input is heard on its side; None is 2 where an input has
            a side.
        level: Bring quiet and loud files together, as in :class:`AudioRecordingConfiguration`.
        on_progress: Told how far it is.
        disk: Where the file goes.

    Raises:
        ConfigurationError: No input, a negative start, an input without a side in a mix of two
            channels or with one in a mix of one, or a value that is not in the contract.
        FileError: An input cannot be read (DamagedFileError: is no audio, or has none in it), or
            the output cannot be created (OpenFileError).
        OSError: Writing failed; nothing has changed at ``output``.
    """
    config = _config(inputs, output, sample_rate, quality, channels, level)
    if config.path.is_dir():
        # A file there would be moved aside; moving a whole directory away is nobody's wish.
        raise OpenFileError(f"cannot write {config.path}: a directory stands there")
    encoder = make_encoder(
        config.format, sample_rate, AudioRecordingQuality(quality), channels=config.channels
    )
    sink_format = SinkFormat(
        audio_format=config.format,
        rate_hz=sample_rate,
        unit_samples=encoder.unit_samples,
        most_unit_bytes=encoder.most_unit_bytes,
        cycle_s=0,
        started_at=datetime.fromtimestamp(0, UTC),  # a mix began at no moment; no file says one
        channels=config.channels,
    )
    with _opened(inputs) as voices:
        mix = _Mix(voices, inputs, config, encoder, on_progress)
        try:
            finished = write_finished(
                config.path,
                sink_format,
                mix.units(),
                skip_samples=0,
                first_unit=0,
                disk=disk or Disk(),
            )
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OpenFileError(f"cannot write {config.path}: {reason}") from None
        return mix.result(finished.path, finished.samples / sample_rate)


def mix_to_stream(
    inputs: Sequence[MixInput],
    stream: BinaryIO,
    *,
    sample_rate: int = 32000,
    channels: int | None = None,
    level: bool = False,
    on_progress: Progress | None = None,
) -> MixResult:
    """Mix files into a stream: WAV with an open length.

    Args:
        inputs, sample_rate, channels, level, on_progress: As for :func:`mix_files`.
        stream: Where to; need not be seekable.

    Raises:
        ConfigurationError, FileError: As for :func:`mix_files`.
        OSError: The stream takes no more.
    """
    quality = AudioRecordingQuality.MEDIUM
    config = _config(inputs, "stream.wav", sample_rate, quality, channels, level)
    with _opened(inputs) as voices:
        encoder = PcmEncoder(sample_rate, channels=config.channels)
        mix = _Mix(voices, inputs, config, encoder, on_progress)
        stream.write(streamed_wav_header(sample_rate, channels=config.channels))
        data_bytes = 0
        for unit in mix.units():
            stream.write(unit)
            data_bytes += len(unit)
        stream.flush()
        return mix.result(Path("-"), data_bytes / encoder.bytes_per_s)


def _config(
    inputs: Sequence[MixInput],
    output: str | os.PathLike[str],
    sample_rate: int,
    quality: AudioRecordingQuality,
    channels: int | None,
    level: bool,
) -> AudioRecordingConfiguration:
    if channels is None:
        channels = 2 if any(each.side for each in inputs) else 1
    config = AudioRecordingConfiguration(
        output,
        sample_rate=sample_rate,
        quality=quality,
        position=AudioRecordingPosition.MIXED_RECORDING_AND_PLAYBACK,
        cycle_time=AudioRecordingCycleTime.LIVE,
        channels=channels,
        level=level,
    ).checked()
    if not inputs:
        raise ConfigurationError("there is nothing to mix: name at least one file")
    for each in inputs:
        if each.start_ns < 0:
            raise ConfigurationError(f"{each.path}: the start must not be negative")
        if config.channels == 2 and each.side is None:
            raise ConfigurationError(
                f"{each.path}: in a mix of two channels each file needs a side: {each.path}@left "
                f"or {each.path}@right"
            )
        if config.channels == 1 and each.side is not None:
            raise ConfigurationError(
                f"{each.path}: a mix of one channel has no {each.side.value} side; two have"
            )
    return config


@contextlib.contextmanager
def _opened(inputs: Sequence[MixInput]) -> Iterator[list[FileVoice]]:
    """The inputs as voices. Those that need a decoder start it, a few at once."""
    with contextlib.ExitStack() as stack:
        with ThreadPoolExecutor(_OPENED_AT_ONCE) as pool:
            opening = [pool.submit(_open, each) for each in inputs]
        for each in opening:
            if each.exception() is None:
                stack.callback(each.result().close)
        readers = [each.result() for each in opening]
        yield [
            FileVoice(reader, each.start_ns) for reader, each in zip(readers, inputs, strict=True)
        ]


def _open(each: MixInput) -> AudioReader:
    path = Path(each.path)
    return open_audio(path) if each.file is None else read_audio(path, each.file)


class _Mix:
    """The pipeline: voices to encoded units."""

    def __init__(
        self,
        voices: Sequence[FileVoice],
        inputs: Sequence[MixInput],
        config: AudioRecordingConfiguration,
        encoder: Encoder,
        on_progress: Progress | None,
    ) -> None:
        self._voices = voices
        self._inputs = inputs
        self._channels = config.channels
        self._mixer = Mixer()
        self._buses = [self._mixer.add_bus(config.sample_rate) for _ in range(config.channels)]
        self._output = Output(encoder, [(bus, everybody) for bus in self._buses], Pauses())
        self._on_progress = on_progress
        ends_s = [voice.expected_end_s for voice in voices]
        known_s = [end_s for end_s in ends_s if end_s is not None]
        self._total_s = max(known_s) if len(known_s) == len(ends_s) else None
        for voice, each in zip(voices, inputs, strict=True):
            heard = LevelledVoice(voice, Level()) if config.level else voice
            self._mixer.add(heard, (self._bus_of(each),))

    def _bus_of(self, each: MixInput) -> Bus:
        return self._buses[1 if each.side is MixSide.RIGHT else 0]

    def units(self) -> Iterator[bytes]:
        mixing = self._mixing()
        while sum(1 for _ in itertools.islice(mixing, _ENCODED_BLOCKS)):
            yield from self._output.encode()
            if self._on_progress is not None:
                self._on_progress(self._output.mixed_samples / self._output.rate_hz, self._total_s)
        yield from self._output.finish()

    def result(self, path: Path, duration_s: float) -> MixResult:
        inputs = tuple(
            MixedInput(
                path=str(voice.reader.path),
                format=voice.reader.format,
                sample_rate=voice.reader.sample_rate,
                channels=voice.reader.channels,
                start_s=voice.start_s,
                duration_s=voice.duration_s,
                over_db=max(0.0, voice.reader.peak_db),
                damage=tuple(voice.reader.damage),
                notes=tuple(voice.reader.notes),
                side=each.side,
            )
            for voice, each in zip(self._voices, self._inputs, strict=True)
        )
        return MixResult(
            path=path,
            duration_s=duration_s,
            limited_s=self._output.limited_samples / self._output.rate_hz,
            damage=tuple(f"{each.path}: {words}" for each in inputs for words in each.damage),
            inputs=inputs,
            channels=self._channels,
        )

    def _mixing(self) -> Iterator[None]:
        """Mix block after block; whoever iterates encodes them."""
        output, rate_hz = self._output, self._output.rate_hz
        end: int | None = None
        while end is None or output.mixed_samples < end:
            count = _BLOCK_S * rate_hz
            if end is not None:
                count = min(count, end - output.mixed_samples)
            mixed = self._mixer.mix([count] * len(self._buses))
            if end is None and all(voice.done for voice in self._voices):
                # The last block was asked for before anybody knew that it was the last.
                end = max(-(-voice.end * rate_hz // voice.rate_hz) for voice in self._voices)
                count -= max(0, output.mixed_samples - end)
            output.feed(
                {bus: samples[:count] for bus, samples in zip(self._buses, mixed, strict=True)}
            )
            yield
        output.flush()
        yield
