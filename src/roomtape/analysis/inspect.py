"""What a file holds, how loud it is, and what is wrong with it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..storage.notes.cuts import cuts_of
from ..types import Mark, TimeCut
from .levels import ChannelLevels, Levels, Silence
from .marks import marks_of
from .reader import open_audio

Progress = Callable[[float, float | None], None]


@dataclass(frozen=True)
class Inspection:
    """What :func:`inspect_file` found out.

    Attributes:
        path: The file, as it was named.
        format: Container and codec: ``"wav pcm_s16le"``, ``"rf64 pcm_s16le"``,
            ``"aac adts (LC)"``, or FFmpeg's names for any other.
        sample_rate: Hz.
        channels: At least 1.
        samples: A channel; what can be read, not what the header says.
        duration_s: The same in seconds.
        declared_s: What the header says; None where it says nothing.
        bytes: The file's size.
        peak_dbfs: The loudest sample; -inf if all is digital zero.
        rms_dbfs: Of the whole file, all channels together.
        dc_offset: The mean, 1.0 being full scale, of the channel that is farthest off.
        clipped_samples: Samples in runs of 3 or more at full scale.
        clipped_runs: How many such runs.
        silent_fraction: Time in stretches of 10 ms or more without a sample above -60 dBFS,
            as a part of the whole.
        silences: Such stretches of a second or more; the first 10,000.
        damage: What is missing or wrong, in words; empty if nothing is.
        notes: What is merely odd, in words.
        marks: Moments with a name: the cue points of a WAV file, or those of the report beside it.
        channel_levels: Peak and RMS of each channel, in order.
        cuts: Where pauses were cut out of it, by the report beside it.
    """

    path: str
    format: str
    sample_rate: int
    channels: int
    samples: int
    duration_s: float
    declared_s: float | None
    bytes: int
    peak_dbfs: float
    rms_dbfs: float
    dc_offset: float
    clipped_samples: int
    clipped_runs: int
    silent_fraction: float
    silences: tuple[Silence, ...]
    damage: tuple[str, ...]
    notes: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    channel_levels: tuple[ChannelLevels, ...] = ()
    cuts: tuple[TimeCut, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready copy: None in place of -inf."""
        plain = dataclasses.asdict(self)
        for levels in (plain, *plain["channel_levels"]):
            for name in ("peak_dbfs", "rms_dbfs"):
                if not math.isfinite(levels[name]):
                    levels[name] = None
        return plain


def inspect_file(path: str | Path, *, on_progress: Progress | None = None) -> Inspection:
    """Read a whole audio file, in bounded memory, and say what is in it.

    Args:
        path: The file.
        on_progress: Called now and then with the seconds read so far, and what the file claims.

    Raises:
        FileError: The file is missing, or cannot be read.
        DamagedFileError: There is no audio in it that can be read.
    """
    with open_audio(path) as reader:
        levels = Levels(reader.sample_rate)
        for block in reader.blocks():
            levels.add(block)
            if on_progress is not None:
                on_progress(levels.frames / reader.sample_rate, reader.declared_s)
        levels.finish()
        return Inspection(
            path=str(path),
            format=reader.format,
            sample_rate=reader.sample_rate,
            channels=reader.channels,
            samples=levels.frames,
            duration_s=levels.frames / reader.sample_rate,
            declared_s=reader.declared_s,
            bytes=reader.path.stat().st_size,
            peak_dbfs=levels.peak_dbfs,
            rms_dbfs=levels.rms_dbfs,
            dc_offset=levels.dc_offset,
            clipped_samples=levels.clipped_samples,
            clipped_runs=levels.clipped_runs,
            silent_fraction=levels.silent_frames / levels.frames if levels.frames else 0.0,
            silences=tuple(levels.silences),
            damage=tuple(reader.damage),
            notes=tuple(reader.notes),
            marks=marks_of(path),
            channel_levels=levels.channels,
            cuts=cuts_of(path),
        )
