"""Calls through pipelines of the real Pipecat, word by word; and a recorder in wrong places."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from roomtape.types import Pcm
from support.lag import Lag
from support.readers import read_all
from support.words import Word, assert_each_in_place, find_words

pytestmark = pytest.mark.realtime

ROOT = Path(__file__).parents[2]
PIPECAT = ROOT / ".venv-pipecat"
CALL = ROOT / "tests" / "support" / "pipecat_call.py"
SAID_HZ, RATE_HZ = 24000, 48000
AHEAD_S = 0.06
"""So far ahead of the listener do most transports send."""


class Called(NamedTuple):
    """What was said and heard on the line, and what the recording has of it."""

    directory: Path
    begins: dict[str, list[float]]
    events: list[str]
    over: bool
    report: dict[str, Any]
    log: str

    @property
    def names(self) -> list[tuple[str, bool]]:
        return sorted((each["name"], each["local"]) for each in self.report["sources"])

    def source(self, name: str) -> dict[str, Any]:
        (found,) = (each for each in self.report["sources"] if each["name"] == name)
        return dict(found)

    def stretches(self, name: str) -> list[tuple[float, Pcm]]:
        """Of one side, from one interruption to the next: when it begins, and at the rate of the
        recording. Each sample twice is good enough to know a word by."""
        return [
            (
                at,
                np.fromfile(self.directory / f"{name}.{number}.s16", np.int16).repeat(
                    RATE_HZ // SAID_HZ
                ),
            )
            for number, at in enumerate(self.begins[name])
        ]

    def heard_s(self, name: str) -> float:
        return sum(len(pcm) for _, pcm in self.stretches(name)) / RATE_HZ

    def stem(self, name: str) -> Pcm:
        (path,) = (self.directory / "stems").glob(f"*{name}*.wav")
        pcm, rate_hz = read_all(path)
        assert rate_hz == RATE_HZ
        return pcm

    def words(self, name: str, source: str = "") -> list[Word]:
        """Of one side, in the stem of it."""
        started_at = datetime.fromisoformat(self.report["started_at"]).timestamp()
        stem = self.stem(source or name)
        return [
            word
            for at, pcm in self.stretches(name)
            for word in find_words(pcm, stem, RATE_HZ, begins_s=at - started_at)
        ]


def call(tmp_path: Path, scene: str, place: str = "behind", ahead_s: float = AHEAD_S) -> Called:
    if not (PIPECAT / "ready").exists():
        pytest.skip("there is no Pipecat on this machine: make pipecat")
    command = [PIPECAT / "bin/python", CALL, tmp_path, scene, place, str(ahead_s)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return Called(
        tmp_path,
        **json.loads((tmp_path / "said.json").read_text()),
        report=json.loads((tmp_path / "call.wav.json").read_text()),
        log=done.stderr,
    )


def test_a_bot_that_is_interrupted_again_and_again(tmp_path: Path, lag: Lag) -> None:
    called = call(tmp_path, "interruptions")
    heard_s = called.heard_s("bot")
    # What was dropped is in no place, and what came after it not in the place of that.
    assert_each_in_place(called.words("bot"), at_least=10, lag_s=lag.worst_s)
    assert called.source("bot")["received_s"] == pytest.approx(heard_s, abs=0.1 + lag.worst_s)
    assert called.report["duration_s"] == pytest.approx(heard_s, abs=0.5 + lag.worst_s)


def test_what_cannot_be_interrupted_stands_where_it_was_heard(tmp_path: Path, lag: Lag) -> None:
    called = call(tmp_path, "talks_over", ahead_s=0.3)
    heard_s = called.heard_s("bot")
    assert_each_in_place(called.words("bot"), at_least=10, lag_s=lag.worst_s)
    assert called.source("bot")["received_s"] == pytest.approx(heard_s, abs=0.1 + lag.worst_s)


def test_a_background_that_the_transport_mixes_in_is_recorded_as_heard(
    tmp_path: Path, lag: Lag
) -> None:
    called = call(tmp_path, "background")
    heard_s = called.heard_s("bot")
    assert_each_in_place(called.words("bot"), at_least=15, lag_s=lag.worst_s)
    assert called.source("bot")["received_s"] == pytest.approx(heard_s, abs=0.1 + lag.worst_s)
    assert called.report["duration_s"] == pytest.approx(heard_s, abs=0.5 + lag.worst_s)


def test_users_are_told_apart(tmp_path: Path, lag: Lag) -> None:
    called = call(tmp_path, "users")
    assert called.names == [("alice", False), ("bob", False), ("bot", True), ("user", False)]
    for name, source, seconds in (("alice", "", 4), ("bob", "", 4), ("carol", "user", 3)):
        assert_each_in_place(called.words(name, source), at_least=5, lag_s=lag.worst_s, alike=0.9)
        report = called.source(source or name)
        assert report["received_s"] == pytest.approx(seconds, abs=0.03 + lag.worst_s)
        assert report["lost_s"] <= lag.late_s


@pytest.mark.parametrize("ahead_s", [AHEAD_S, 2.0])
def test_what_the_transport_took_is_heard_to_its_end(
    tmp_path: Path, ahead_s: float, lag: Lag
) -> None:
    called = call(tmp_path, "ends", ahead_s=ahead_s)
    assert called.over
    assert_each_in_place(called.words("bot"), at_least=5, lag_s=lag.worst_s)
    assert called.source("bot")["received_s"] == pytest.approx(4.0, abs=0.03 + lag.worst_s)


@pytest.mark.parametrize("scene", ["ends_and_breaks_off", "ends_and_interrupts"])
def test_the_end_is_broken_off(tmp_path: Path, scene: str, lag: Lag) -> None:
    called = call(tmp_path, scene, ahead_s=3.0)
    assert called.over
    assert called.events == ["START", "FINISH"]
    assert_each_in_place(called.words("bot"), at_least=1, lag_s=lag.worst_s)
    heard_s = called.heard_s("bot")
    assert heard_s < 2.5 + lag.worst_s
    assert called.source("bot")["received_s"] == pytest.approx(heard_s, abs=0.1 + lag.worst_s)


def test_a_call_that_is_broken_off(tmp_path: Path, lag: Lag) -> None:
    called = call(tmp_path, "breaks_off")
    assert called.over
    for name in ("alice", "bot"):
        assert_each_in_place(called.words(name), at_least=3, lag_s=lag.worst_s)
    heard_s = called.heard_s("bot")
    assert called.source("bot")["received_s"] == pytest.approx(heard_s, abs=0.1 + lag.worst_s)


def test_two_lines_of_one_bot_are_heard_at_once(tmp_path: Path, lag: Lag) -> None:
    called = call(tmp_path, "two_lines")
    assert called.names == [("bot", True), ("french", True)]
    for name in ("bot", "french"):
        assert_each_in_place(called.words(name), at_least=4, lag_s=lag.worst_s)
    assert called.source("french")["received_s"] == pytest.approx(3.0, abs=0.03 + lag.worst_s)


def test_before_the_output_the_bot_stands_as_early_as_it_was_made(tmp_path: Path, lag: Lag) -> None:
    called = call(tmp_path, "talks", "before output")
    assert_each_in_place(called.words("alice"), at_least=4, lag_s=lag.worst_s, alike=0.9)
    words = called.words("bot")
    assert_each_in_place(words, at_least=4, within_s=0.1, lag_s=lag.worst_s)
    assert "stands in front of transport.output()" in called.log


@pytest.mark.parametrize("place", ["before input", "without passthrough"])
def test_where_no_user_is_heard_it_says_so(tmp_path: Path, place: str, lag: Lag) -> None:
    called = call(tmp_path, "silence", place)
    assert called.events == ["START", "NO_AUDIO", "FINISH"]
    assert any("no user was heard" in each for each in called.report["warnings"])
    assert called.names == [("bot", True)]
    assert called.source("bot")["received_s"] == pytest.approx(2.0, abs=0.03 + lag.worst_s)
