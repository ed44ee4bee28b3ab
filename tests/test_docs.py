"""The docs say everything that there is, and what they show runs."""

from __future__ import annotations

import asyncio
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

import roomtape
from roomtape import (
    AudioRecorder,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingWarning,
    ErrorCode,
    RecordingReport,
    SourceReport,
)
from roomtape.cli import app
from roomtape.rooms import MemoryRoom
from roomtape.server.app import RoomServer
from roomtape.types.clock import ScriptedClock
from support.keys import write_keys
from support.signals import noise

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
EVERYTHING = "\n".join(TEXT.values())


def written(word: str, where: str = EVERYTHING) -> bool:
    """Whether a name stands somewhere in code: by itself, or in a call or a list."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", where) is not None


def test_every_command_and_option_is_documented():
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    missing = [
        f"{name} {option}"
        for name, command in commands.items()
        for option in [*(each for one in command.params for each in one.opts), f"roomtape {name}"]
        if (option.startswith("-") or " " in option) and not written(option)
    ]
    assert not missing


@pytest.mark.parametrize("kind", [AudioRecordingCode, AudioRecordingWarning, ErrorCode])
def test_every_code_and_warning_is_documented(kind: type[AudioRecordingWarning]):
    page = TEXT["docs/recording.md"]
    assert not [f"{each.name}={each}" for each in kind if f"{each.name}={int(each)}" not in page]


@pytest.mark.parametrize("kind", [RecordingReport, SourceReport, AudioRecordingConfiguration])
def test_every_field_is_documented(kind: type):
    page = TEXT["docs/recording.md"]
    obvious = {"_", "file_path", "format", "sample_rate", "channels", "name", "local"}
    assert not [
        each.name
        for each in fields(kind)
        if each.name not in obvious and not written(each.name, page)
    ]


SIGNATURES: list[Callable[..., Any]] = [
    AudioRecorder.add_source,
    AudioRecorder.add_playout,
    roomtape.Source.push,
    roomtape.PlayoutSource.push,
    roomtape.PushedAudio.push,
    roomtape.g711,
]


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda each: each.__qualname__)
def test_every_argument_of_a_source_is_documented(function: Callable[..., Any]):
    names = [*inspect.signature(function).parameters]
    obvious = {"self", "name", "data"}
    missing = [each for each in names if each not in obvious and not written(each, EVERYTHING)]
    assert not missing


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


# -- what is shown, runs --------------------------------------------------------------------------

ELSEWHERE = {"docs/testing.md"}
"""What it shows is a test, not a program."""
OWN_TESTS = {"docs/livekit.md", "docs/scaling.md", "docs/integrations/pipecat.md"}
"""They need a LiveKit server, or a framework in an environment of its own: their programs are in
examples/, and tested there."""


class _Connection:
    """A peer connection that gives no track."""

    def on(self, event: str) -> Callable[[Any], Any]:
        assert event == "track"
        return lambda function: function


class _Messages:
    """A WebSocket that is closed at once."""

    async def iter_text(self) -> Any:
        for each in ("{}", "no JSON"):
            yield each

    async def iter_bytes(self) -> Any:
        yield bytes(960)

    async def send_text(self, text: str) -> None:
        assert text == "{}"


def snippets() -> list[tuple[str, int, str]]:
    return [
        (name, number, code)
        for name, text in TEXT.items()
        if name not in ELSEWHERE | OWN_TESTS
        for number, code in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    ]


@pytest.mark.network
@pytest.mark.parametrize(
    ("page", "number", "code"),
    snippets(),
    ids=lambda each: str(each) if len(str(each)) < 60 else "",
)
async def test_a_snippet_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, number: int, code: str
):
    monkeypatch.chdir(tmp_path)
    async with RoomServer("127.0.0.1", 0) as server:
        code = code.replace("http://127.0.0.1:8080", server.url).replace(", 4000)", ", 0)")
        code = code.replace("/data/", f"{tmp_path}/")
        pcm = noise(1, 0.1, 16000)
        (tmp_path / "hello.wav").write_bytes(_wav(tmp_path, pcm))
        write_keys(tmp_path)[1].rename(tmp_path / "public.pem")
        config = AudioRecordingConfiguration(tmp_path / "around.wav")
        async with AudioRecorder(config) as around:
            given = {
                **{name: getattr(roomtape, name) for name in roomtape.__all__},
                "time": __import__("time"),
                "peer_connection": _Connection(),
                "websocket": _Messages(),
                "recorder": around,
                "engine": roomtape.RtcEngine(MemoryRoom(ScriptedClock())),
                "pcm": pcm,
                "speech": pcm,
                "payload": bytes(160),
                "answer": "{}",
            }
            body = textwrap.indent(code, "    ")
            exec(compile(f"async def snippet():\n{body}\n", f"{page}:{number}", "exec"), given)
            async with asyncio.timeout(120):
                await given["snippet"]()  # type: ignore[operator]


def _wav(directory: Path, pcm: np.ndarray) -> bytes:
    from support.damage import write_wav

    return write_wav(directory / "given.wav", pcm, 16000).read_bytes()
