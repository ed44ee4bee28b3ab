"""``roomtape demo``: the main job, on this machine alone, checked by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..analysis.timecode import timecode
from ..types.errors import RoomtapeError

if TYPE_CHECKING:
    from .demo_call import SceneResult


def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where to put the recordings and the picture.")
    ] = Path("demo-out"),
) -> int:
    """Record a call of four, and check the recordings.

    Starts the embedded room server; alice, bob and carol join over real WebRTC and talk; dave
    joins, talks, and records. Takes about a minute and a half.
    """
    import asyncio  # noqa: PLC0415 (quick --help)

    from rich.console import Console  # noqa: PLC0415

    from .demo_call import SCENES, draw_picture, run_demo  # noqa: PLC0415

    # Lines are as long as they are, so that paths are whole; only the table keeps to 80 columns.
    console = Console(highlight=False, soft_wrap=True)
    seconds = sum(scene.seconds for scene in SCENES)
    console.print(
        f"Four people talk over WebRTC on this machine for {seconds:.0f} s; dave records them.\n"
    )
    results = asyncio.run(run_demo(out, say=lambda words: console.print(f"  {words}")))
    console.print()
    console.print(_table(results), soft_wrap=False)
    picture = draw_picture(results[0], out / "mixed.png")
    console.print(f"\nWho spoke when, over the mix: {picture}")
    console.print(f"Listen: {', '.join(str(result.path) for result in results)}")
    wrong = [f"{result.path.name}: {fault}" for result in results for fault in result.faults]
    if wrong:
        busy = next((f"{result.busy}; " for result in results if result.busy), "")
        raise RoomtapeError(f"the demo's check failed: {busy}{'; '.join(wrong)}")
    console.print("\nEvery file holds what was spoken, where it was spoken. All checks passed.")
    return 0


def _table(results: list[SceneResult]) -> object:
    from rich.box import SIMPLE  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    title = "What is in the files (offset: heard minus spoken)"
    table = Table(title=title, title_justify="left", box=SIMPLE)  # within 80 columns
    for heading in ("file", "length", "voice", "expected", "found at", "offset", "match", ""):
        table.add_column(heading, justify="right" if heading in ("offset", "match") else "left")
    for result in results:
        for index, check in enumerate(result.checks):
            present = check.expected_s is not None
            found = check.match.score > 0 and check.heard
            table.add_row(
                result.path.name if index == 0 else "",
                f"{timecode(result.duration_s, 2)}" if index == 0 else "",
                check.voice,
                timecode(check.expected_s, 2) if check.expected_s is not None else "absent",
                timecode(check.match.offset_s, 2) if found else "not there",
                f"{check.offset_ms:+.0f} ms" if present and found else "",
                f"{check.match.score:.2f}",
                "[green]ok[/]" if check.ok else "[bold red]WRONG[/]",
                end_section=index == len(result.checks) - 1,
            )
    return table
