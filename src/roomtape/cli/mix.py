"""``roomtape mix``: files on one clock, mixed into one."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigurationError
from ..types import NS_PER_S
from .choices import Quality

if TYPE_CHECKING:
    from ..media.offline import MixInput


_MOST_START_S = 604800
"""A week: what is meant as seconds and is more is a mistake that would fill the disk."""


def mix(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="FILE[@START_S]...", help="Files, and the second each begins at."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The .wav or .aac file to write.")
    ],
    sample_rate: Annotated[int, typer.Option(metavar="HZ")] = 32000,
    quality: Annotated[Quality, typer.Option(help="Of an .aac file.")] = Quality.medium,
) -> None:
    """Put files on one clock and mix them.

    For example: roomtape mix alice.wav bob.flac@12.5 -o call.wav
    """
    from ..media.offline import mix_files  # noqa: PLC0415 (quick --help)

    parsed = [parse_input(each) for each in inputs]
    terminal = sys.stderr.isatty()
    last = -1

    def show(seconds: float) -> None:
        nonlocal last
        if int(seconds) // 10 != last:
            last = int(seconds) // 10
            print(f"\rmixed {seconds:.0f} s", end="", file=sys.stderr, flush=True)

    try:
        result = mix_files(
            parsed,
            output,
            sample_rate=sample_rate,
            quality=quality.value_of(),
            on_progress=show if terminal else None,
        )
    finally:
        if terminal and last >= 0:
            print("\r\033[K", end="", file=sys.stderr)
    for words in result.damage:
        print(f"roomtape: {words}", file=sys.stderr)
    limited = f", turned down for {result.limited_s:.1f} s" if result.limited_s else ""
    print(f"{result.path}: {result.duration_s:.3f} s from {len(parsed)} files{limited}")


def parse_input(text: str) -> MixInput:
    """``FILE`` or ``FILE@START_S``.

    Raises:
        ConfigurationError: The start is not a number of seconds from 0 to a week.
    """
    from ..media.offline import MixInput  # noqa: PLC0415 (quick --help)

    name, at, start = text.rpartition("@")
    if not at or Path(text).exists():
        return MixInput(Path(text))
    try:
        start_s = float(start)
    except ValueError:
        start_s = math.nan
    if not 0 <= start_s <= _MOST_START_S:  # which NaN is not, either
        raise ConfigurationError(
            f"{text}: the start is {start!r}; after the @ goes a number of seconds, 0 to "
            f"{_MOST_START_S}, such as @12.5"
        )
    return MixInput(Path(name), round(start_s * NS_PER_S))
