"""``roomtape mix``: files on one clock, mixed into one."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from ..types import NS_PER_S
from ..types.errors import ConfigurationError
from .choices import Quality
from .progress import Progress
from .termination import undone_when_told_to_end

if TYPE_CHECKING:
    from ..media.offline import MixInput, MixResult


_MOST_START_S = 604800
"""A week: what is meant as seconds and is more is a mistake that would fill the disk."""
_STREAM = "-"


def mix(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE[@START][@SIDE]...",
            help="Files; when each begins, in seconds or as 1:30; in a mix of two channels, its "
            "side, left or right; - is standard input.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The .wav or .aac file to write; - is standard output, as WAV.",
        ),
    ],
    sample_rate: Annotated[int, typer.Option(metavar="HZ")] = 32000,
    quality: Annotated[Quality, typer.Option(help="Of an .aac file.")] = Quality.medium,
    channels: Annotated[
        int | None,
        typer.Option(metavar="N", help="1 or 2. [default: 2 where a file has a side, 1 otherwise]"),
    ] = None,
    level: Annotated[
        bool, typer.Option("--level", help="Bring quiet and loud files together.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Put files on one clock and mix them.

    For example: roomtape mix alice.wav bob.flac@12.5 -o call.wav, or, on two sides,
    roomtape mix alice.wav@left bob.flac@12.5@right -o call.wav
    """
    from ..media.offline import mix_files, mix_to_stream  # noqa: PLC0415 (quick --help)

    parsed = [parse_input(each) for each in inputs]
    if output == _STREAM:
        with Progress("mixed") as show:
            result = mix_to_stream(
                parsed,
                sys.stdout.buffer,
                sample_rate=sample_rate,
                channels=channels,
                level=level,
                on_progress=show,
            )
    else:
        with undone_when_told_to_end() as disk, Progress("mixed") as show:
            result = mix_files(
                parsed,
                output,
                sample_rate=sample_rate,
                quality=quality.value_of(),
                channels=channels,
                level=level,
                on_progress=show,
                disk=disk,
            )
    _tell(result, as_json=as_json)


def _tell(result: MixResult, *, as_json: bool) -> None:
    # Standard output may be the audio itself.
    out = sys.stderr if str(result.path) == _STREAM else sys.stdout
    if as_json:
        print(json.dumps(result.as_dict(), ensure_ascii=False, allow_nan=False), file=out)
        return
    for words in result.damage:
        print(f"roomtape: {words}", file=sys.stderr)
    for each in result.inputs:
        for words in each.notes:
            print(f"roomtape: {each.path}: note: {words}", file=sys.stderr)
        if each.over_db:
            print(
                f"roomtape: {each.path}: exceeds full scale by up to {each.over_db:.1f} dB; turned "
                "down where the mix does",
                file=sys.stderr,
            )
    count = len(result.inputs)
    limited = f", turned down for {result.limited_s:.1f} s" if result.limited_s else ""
    files = f"{count} file{'s' * (count != 1)}"
    print(f"{result.path}: {result.duration_s:.3f} s from {files}{limited}", file=out)


def parse_input(text: str) -> MixInput:
    """``FILE``, ``FILE@START`` and either with ``@left`` or ``@right`` behind it, where ``-`` is
    standard input.

    Raises:
        ConfigurationError: The start is not a number of seconds from 0 to a week, or there are
            two sides.
    """
    from ..media.offline import MixInput, MixSide  # noqa: PLC0415 (quick --help)

    before, at, word = text.rpartition("@")
    if at and word in tuple(MixSide) and not Path(text).exists():
        each = parse_input(before)
        if each.side is not None:
            raise ConfigurationError(f"{text}: a file is heard on one side, left or right")
        return dataclasses.replace(each, side=MixSide(word))
    if text == _STREAM:
        return MixInput(Path(text), file=_standard_input())
    name, at, start = text.rpartition("@")
    if not at or Path(text).exists():
        return MixInput(Path(text))
    try:
        start_s = _seconds(start)
    except ValueError:
        if name != _STREAM and not Path(name).exists():
            return MixInput(Path(text))  # a name with an @ in it, of a file that is not there
        start_s = math.nan
    if not 0 <= start_s <= _MOST_START_S:  # which NaN is not, either
        raise ConfigurationError(
            f"{text}: the start is {start!r}; after the @ goes a number of seconds, 0 to "
            f"{_MOST_START_S}, such as @12.5, or a time such as @1:30 or @1:02:03.5"
        )
    start_ns = round(start_s * NS_PER_S)
    if name == _STREAM:
        return MixInput(Path(name), start_ns, _standard_input())
    return MixInput(Path(name), start_ns)


def _seconds(text: str) -> float:
    """``SECONDS``, ``M:SS`` or ``H:MM:SS``, with a fraction or without.

    Raises:
        ValueError: It is none of these.
    """
    *larger, last = text.split(":")
    if not larger:
        return float(last)
    digits = [*larger, *last.split(".", 1)]
    if len(larger) > 2 or not all(each.isascii() and each.isdigit() for each in digits):
        raise ValueError(text)
    seconds = float(last)
    for factor, each in zip((60, 3600), reversed(larger), strict=False):
        seconds += factor * int(each)
    # Within their next larger one, there are sixty of each.
    if float(last) >= 60 or (len(larger) == 2 and int(larger[1]) >= 60):
        raise ValueError(text)
    return seconds


def _standard_input() -> BinaryIO:
    """All of standard input, in a file without a name: what is mixed has to be seekable."""
    spooled = tempfile.TemporaryFile(prefix="roomtape-")  # noqa: SIM115 (closed by the mix)
    shutil.copyfileobj(sys.stdin.buffer, spooled)
    spooled.seek(0)
    return spooled
