"""``roomtape export``: a finished recording for other systems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...types.errors import ConfigurationError
from ..termination import undone_when_told_to_end

_STREAM = "-"


def export(
    file: Annotated[Path, typer.Argument(help="A recording that has a report.")],
    vcon: Annotated[
        bool, typer.Option("--vcon", help="As a vCon (IETF draft-ietf-vcon-vcon-core).")
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to; - is standard output. [default: FILE.vcon]",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its report. [default: beside the recording, FILE.json]"),
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the recording can be had (https).")
    ] = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="Put the recording itself into it (64 MiB at most).")
    ] = False,
    subject: Annotated[
        str | None, typer.Option(metavar="WORDS", help="What the conversation was about.")
    ] = None,
) -> None:
    """Write a finished recording down for other systems.

    A vCon names the parties, the times, the file by its name and hash, and what is missing.
    """
    from ...analysis.vcon import make_vcon, vcon_text, write_vcon  # noqa: PLC0415 (quick --help)

    if not vcon:
        raise ConfigurationError("say what to export it as: --vcon")
    made = make_vcon(file, report=report, url=url, inline=inline, subject=subject)
    if output == _STREAM:
        print(vcon_text(made), end="")
        return
    with undone_when_told_to_end() as disk:
        path = write_vcon(made, output or file.with_name(file.name + ".vcon"), disk=disk)
    words = f"{path}: a vCon of {len(made['parties'])} parties, {made['uuid']}"
    # A name may hold bytes that are no text.
    print(words.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
