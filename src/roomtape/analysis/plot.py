"""Pictures: one file's waveform and spectrum, and a recording as lanes, one a participant."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..storage.notes.cuts import cuts_of
from ..types import Interval, IntervalKind, Mark, Pcm
from ..types.errors import FileError
from .marks import marks_of
from .peaks import Envelope, Outline, Spectrum
from .reader import open_audio
from .timecode import timecode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_IN = 13.0
_DPI = 110
_INK = "#1f2933"
_FAINT = "#d9dee3"
_VOICES = ("#1f77b4", "#d2691e", "#2e8b57", "#8e44ad", "#b8860b", "#c2185b", "#008b8b", "#5d4037")


@dataclass(frozen=True)
class _Look:
    """How a kind of interval is drawn: over the lane's height, or as a strip at its foot."""

    colour: str
    words: str
    strip: bool = False
    hatch: str | None = None


_INTERVALS = {
    IntervalKind.SPOKE: _Look("#7cc58a", "spoke", strip=True),
    IntervalKind.MUTED: _Look("#dfe3e8", "muted"),
    IntervalKind.LOST: _Look("#f2a1a4", "lost"),
    IntervalKind.LATE: _Look("#f9c784", "too late"),
    IntervalKind.STALLED: _Look("#faeaa8", "stalled"),
    IntervalKind.ABSENT: _Look("#ffffff", "not in the room", hatch="////"),
}
_STRIP_TOP = 0.1
_BLOCK_FRAMES = 1 << 16
_SMALLEST_TOP = 1 / 64
_CJK_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Droid Sans Fallback")
_SPECTRUM_FLOOR_DBFS = -100.0
_MARK = "#c2185b"
_CUT = "#00796b"
_MOST_MARKS, _MOST_WORDS, _MOST_LEVEL, _MOST_LABEL = 1000, 60, 8, 40


@dataclass(frozen=True)
class Lane:
    """One participant's, or the mix's, lane of a picture.

    Attributes:
        name: Written at its left.
        pcm: int16, ``(frames,)`` or ``(frames, channels)``.
        sample_rate: Hz.
        start_s: Where the first sample stands on the common time axis.
        intervals: What the participant's time was, coloured.
        note: A few words, small, under the name.
    """

    name: str
    pcm: Pcm
    sample_rate: int
    start_s: float = 0.0
    intervals: tuple[Interval, ...] = ()
    note: str = ""


def plot_file(path: str | Path, png: str | Path) -> None:
    """Draw a file's waveform over its spectrogram; of two channels, each has its own.

    Raises:
        FileError: The file is missing or unreadable, or the picture cannot be written.
        DamagedFileError: There is no audio in it that can be read.
    """
    with open_audio(path) as reader:
        # More than two are drawn as one: what all of them reach, and their mean.
        lanes = 2 if reader.channels == 2 else 1
        drawn = [(Envelope(), Spectrum()) for _ in range(lanes)]
        for block in reader.blocks():
            for (envelope, spectrum), part in zip(
                drawn, np.hsplit(block, 2) if lanes == 2 else [block], strict=True
            ):
                envelope.add(part)
                spectrum.add(part)
    rate = reader.sample_rate
    duration_s = max(drawn[0][0].frames, 1) / rate
    cuts = [
        Mark(cut.at_s, round(cut.at_s * rate), f"{cut.lasted_s:.1f} s cut out")
        for cut in cuts_of(path)
    ]

    figure = _figure(6.2 * lanes)
    axes = figure.subplots(2 * lanes, 1, sharex=True, height_ratios=(1, 1.3) * lanes)
    outlines = [envelope.finish() for envelope, _ in drawn]
    for index, (envelope, spectrum) in enumerate(drawn):
        wave, picture = axes[2 * index], axes[2 * index + 1]
        _draw_wave(wave, outlines[index], rate, 0.0, _VOICES[index])
        _amplitude_axis(wave, _loudest(outlines))
        _draw_marks((wave, picture), marks_of(path), _MARK)
        _draw_marks((wave, picture), cuts, _CUT)
        image = picture.imshow(
            spectrum.finish_dbfs().T if envelope.frames else np.full((2, 1), _SPECTRUM_FLOOR_DBFS),
            origin="lower",
            aspect="auto",
            extent=(0, duration_s, 0, rate / 2000),
            vmin=_SPECTRUM_FLOOR_DBFS,
            vmax=-20,
            cmap="magma",
        )
        picture.set_ylabel("kHz")
        if lanes == 2:
            wave.set_ylabel(("left", "right")[index])
    figure.colorbar(image, ax=list(axes), label="dBFS", pad=0.01, aspect=40)
    _time_axis(axes[-1], duration_s)
    channels = "mono" if reader.channels == 1 else f"{reader.channels} channels"
    _title(
        axes[0],
        f"{reader.path.name}   {reader.format}, {rate:,} Hz, {channels}, {timecode(duration_s)}",
    )
    _save(figure, png)


def plot_lanes(lanes: Sequence[Lane], mix: Lane, png: str | Path, title: str = "") -> None:
    """Draw what each participant said, over the mix, on one time axis.

    Raises:
        FileError: The picture cannot be written.
    """
    everyone = (*lanes, mix)
    end_s = max([1e-3, *(lane.start_s + len(lane.pcm) / lane.sample_rate for lane in everyone)])
    figure = _figure(1.5 + 0.95 * len(lanes) + 1.5)
    axes = figure.subplots(
        len(lanes) + 1, 1, sharex=True, squeeze=False, height_ratios=[1.0] * len(lanes) + [1.5]
    )[:, 0]
    outlines = [_outline(lane) for lane in everyone]
    top = _loudest(outlines[:-1])
    for index, lane in enumerate(lanes):
        _draw_lane(axes[index], lane, outlines[index], top, _VOICES[index % len(_VOICES)])
    _draw_lane(axes[-1], mix, outlines[-1], max(top, _loudest(outlines[-1:])), _INK)
    axes[-1].set_facecolor("#f4f6f8")
    _time_axis(axes[-1], end_s)
    _title(axes[0], title)
    _legend(figure, {interval.kind for lane in everyone for interval in lane.intervals})
    _save(figure, png)


def _outline(lane: Lane) -> Outline:
    envelope = Envelope()
    pcm = lane.pcm if lane.pcm.ndim == 2 else lane.pcm[:, None]
    for start in range(0, len(pcm), _BLOCK_FRAMES):
        envelope.add(pcm[start : start + _BLOCK_FRAMES].astype(np.float32) / np.float32(32768))
    return envelope.finish()


def _draw_lane(axes: Axes, lane: Lane, outline: Outline, top: float, colour: str) -> None:
    for interval in lane.intervals:
        look = _INTERVALS[interval.kind]
        axes.axvspan(
            interval.start_s,
            interval.end_s,
            ymax=_STRIP_TOP if look.strip else 1.0,
            facecolor=look.colour,
            edgecolor=_FAINT,
            hatch=look.hatch,
            linewidth=0,
            zorder=0.5,
        )
    _draw_wave(axes, outline, lane.sample_rate, lane.start_s, colour)
    _amplitude_axis(axes, top)
    families = _font_families()
    for text, y, size, weight in (
        (lane.name, 0.56 if lane.note else 0.5, 12, "bold"),
        (lane.note, 0.34, 9, "normal"),
    ):
        axes.annotate(
            text,
            (0, y),
            xytext=(-52, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            horizontalalignment="right",
            verticalalignment="center",
            color=colour,
            fontsize=size,
            fontweight=weight,
            fontfamily=families,
            parse_math=False,
        )


def _draw_marks(all_axes: Sequence[Axes], marks: Sequence[Mark], colour: str) -> None:
    """A line through all axes for each, and the words at the top of the first."""
    for mark in marks[:_MOST_MARKS]:
        for axes in all_axes:
            axes.axvline(mark.at_s, color=colour, linewidth=1, antialiased=False, zorder=3)
    families = _font_families()
    for mark in marks[:_MOST_WORDS]:
        words = mark.label if len(mark.label) <= _MOST_LABEL else f"{mark.label[:_MOST_LABEL]}..."
        all_axes[0].annotate(
            words,
            (mark.at_s, 1),
            xytext=(3, -3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            verticalalignment="top",
            rotation=90 if len(marks) > _MOST_LEVEL else 0,
            color=colour,
            fontsize=8,
            fontfamily=families,
            parse_math=False,
            annotation_clip=True,
        )


def _draw_wave(axes: Axes, outline: Outline, rate: int, start_s: float, colour: str) -> None:
    starts, low, high = outline
    axes.fill_between(start_s + starts / rate, low, high, color=colour, linewidth=0.5, step="post")


def _loudest(outlines: Sequence[Outline]) -> float:
    """The amplitude axis's end: full scale, or as many times 6 dB less as still holds all."""
    peak = max((float(np.abs(o[1:]).max(initial=0.0)) for o in outlines), default=1.0)
    top = 1.0
    # The axis has room for a tenth more than its end: a peak of -6.0 dBFS fits under -6.
    while top / 2 * 1.05 >= peak and top > _SMALLEST_TOP:
        top /= 2
    return top


def _amplitude_axis(axes: Axes, top: float) -> None:
    axes.set_ylim(-1.3 * top, 1.1 * top)
    loudest = round(20 * np.log10(top))
    labels = [f"{loudest}", f"{loudest - 6}", "", f"{loudest - 6}", f"{loudest} dBFS"]
    axes.set_yticks([-top, -top / 2, 0, top / 2, top], labels, fontsize=7)
    axes.grid(color=_FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", length=0)


def _time_axis(axes: Axes, end_s: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 (heavy)

    axes.set_xlim(0, end_s)
    # Steps that suit minutes and seconds.
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 1.5, 2, 3, 5, 6, 10], min_n_ticks=3))
    short = end_s < 3
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: timecode(value, 2 if short else 0 if end_s > 12 else 1))
    )
    axes.set_xlabel("time (m:ss)")


def _figure(height_in: float) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 (heavy)

    return Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout="constrained")


def _font_families() -> list[str]:
    """The usual font, and one for names in Chinese, Japanese or Korean if there is any."""
    from matplotlib.font_manager import get_font_names  # noqa: PLC0415 (heavy)

    installed = set(get_font_names())
    return ["DejaVu Sans", *(name for name in _CJK_FONTS if name in installed)]


def _title(axes: Axes, text: str) -> None:
    axes.set_title(
        text, loc="left", fontsize=12, color=_INK, fontfamily=_font_families(), parse_math=False
    )


def _legend(figure: Figure, kinds: set[IntervalKind]) -> None:
    from matplotlib.patches import Patch  # noqa: PLC0415 (heavy)

    patches = [
        Patch(facecolor=look.colour, edgecolor="#9aa5b1", hatch=look.hatch, label=look.words)
        for kind, look in _INTERVALS.items()
        if kind in kinds
    ]
    if patches:
        figure.legend(
            handles=patches,
            loc="outside upper right",
            ncols=len(patches),
            frameon=False,
            fontsize=9,
        )


def _save(figure: Figure, png: str | Path) -> None:
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; that is no one's error.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        try:
            figure.savefig(png, format="png")
        except OSError as error:
            raise FileError(f"{png}: cannot write the picture: {error.strerror or error}") from None
