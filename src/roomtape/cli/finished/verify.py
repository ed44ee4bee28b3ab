"""``roomtape verify``: whether a recording and its report belong together, and who says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def verify(
    file: Annotated[Path, typer.Argument(help="A recording that has a report.")],
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its report. [default: beside the recording, FILE.json]"),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="PUBLIC", help="The Ed25519 public key (PEM) that must have signed the report."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Say in a line whether a recording and its report belong together.

    And by whom the report is signed; if they do not, which of the two was changed, where that can
    be known. Exit codes: 0 they do, 1 they do not.
    """
    from ...storage.proof.verify import verify_recording  # noqa: PLC0415 (quick --help)

    found = verify_recording(file, report=report, key=key)
    broken_off = f" (the recording was broken off: {found.error})" if found.error else ""
    words = json.dumps(found.as_dict()) if as_json else " ".join((found.words + broken_off).split())
    # A name may hold bytes that are no text.
    print(words.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    return 0 if found.ok else 1
