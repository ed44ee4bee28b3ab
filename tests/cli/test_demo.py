"""``roomtape demo``: it checks itself, and says so when something is wrong.

``make demo`` runs the whole of it; here one short scene is played, and the checks are given files
that are wrong.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecordingPosition, PushedAudio, RecordingReport
from roomtape.analysis.alignment import Match
from roomtape.cli import demo_call as demo
from roomtape.cli.demo_call import SCENES, Scene, SceneResult, VoiceCheck
from roomtape.cli.lag import Lag as MeasuredLag
from roomtape.media.voices import VOICES
from roomtape.types import Pcm
from roomtape.types.clock import ScriptedClock
from support.damage import write_wav
from support.lag import Lag
from support.program import Cli, assert_one_line_error
from support.readers import read_all
from support.signals import speech

SHORT = Scene("mixed.wav", 9, (("alice", 0.5), ("dave", 1.5)))


@pytest.mark.network
def test_a_scene_is_played_recorded_checked_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_here: Cli, lag: Lag
):
    monkeypatch.setattr(demo, "SCENES", (SHORT,))
    # On a busy machine voices come late; how late they may is what tests/e2e looks at.
    monkeypatch.setattr(demo, "_TOLERANCE_S", 1.0)
    out = tmp_path / "demo-out"
    out.mkdir()
    (out / "mixed.wav").write_bytes(b"an earlier demo")
    (out / "notes.txt").write_text("the user's own")
    done = run_here("demo", "--out", out)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "All checks passed" in done.stdout
    for name in VOICES:
        assert name in done.stdout
    assert {each.name for each in out.iterdir()} == {"mixed.wav", "mixed.png", "notes.txt"}
    assert (out / "mixed.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    pcm, rate = read_all(out / "mixed.wav")
    assert (
        9 <= len(pcm) / rate < 12 + lag.worst_s
    )  # and the demo itself has checked it against the clock


def result_of(pcm: Pcm, path: Path, scene: Scene, spoken: dict[str, float]) -> SceneResult:
    """What the demo makes of a file."""
    write_wav(path, pcm, scene.sample_rate)
    report = RecordingReport(
        file_path=str(path),
        format="wav",
        sample_rate=scene.sample_rate,
        channels=1,
        duration_s=len(pcm) / scene.sample_rate,
        started_at=None,  # type: ignore[arg-type]
        bytes_written=path.stat().st_size,
        limited_s=0.0,
    )
    return demo._check(scene, path, report, spoken, scene.seconds)


def placed(**starts_s: float) -> Pcm:
    """Twelve seconds in which voices begin to speak at these seconds."""
    mix = np.zeros(12 * 48000, np.int32)
    for name, start_s in starts_s.items():
        voice, start = speech(name), round(start_s * 48000)
        voice = voice[: len(mix) - start]
        mix[start : start + len(voice)] += voice
    return np.clip(mix, -32768, 32767).astype(np.int16)


SCENE = Scene("mixed.wav", 12, (("alice", 1.0), ("bob", 2.5)))
SPOKEN = {"alice": 1.0, "bob": 2.5}


def test_a_file_that_holds_what_was_spoken_has_no_faults(tmp_path: Path):
    result = result_of(placed(alice=1.0, bob=2.5), tmp_path / "a.wav", SCENE, SPOKEN)
    assert result.faults == []


@pytest.mark.parametrize(
    ("pcm", "fault"),
    [
        (lambda: placed(alice=1.0), "bob is missing"),
        (lambda: placed(alice=1.0, bob=2.5, carol=3.0), "carol is heard but must not be"),
        (lambda: placed(alice=1.0, bob=2.75), "bob is +250 ms off"),
        (lambda: placed(alice=0.8, bob=2.5), "alice is -200 ms off"),
        (lambda: placed(alice=1.0, bob=2.5)[:-9600], "11.80 s long instead of 12.00 s"),
        (lambda: np.zeros(12 * 48000, np.int16), "alice is missing"),
    ],
    ids=["missing", "too many", "late", "early", "short", "silent"],
)
def test_each_thing_that_can_be_wrong_is_said(tmp_path: Path, pcm: object, fault: str):
    assert callable(pcm)
    result = result_of(pcm(), tmp_path / "a.wav", SCENE, SPOKEN)
    assert any(fault in words for words in result.faults), result.faults


def test_positions_and_the_cycle_decide_who_must_be_heard(tmp_path: Path):
    everybody = placed(alice=0.5, dave=2.0)
    spoken = {"alice": 0.5, "dave": 2.0}
    for position, wrong in (
        (AudioRecordingPosition.RECORDING, "alice is heard but must not be"),
        (AudioRecordingPosition.MIXED_PLAYBACK, "dave is heard but must not be"),
    ):
        scene = replace(SCENE, position=position)
        faults = result_of(everybody, tmp_path / "a.wav", scene, spoken).faults
        assert faults == [wrong]
    # Ten seconds of twenty: who spoke at second 1 must not be there, who did at 12 is at 2.
    last = replace(SCENE, seconds=20, cycle_time=10)
    kept = placed(dave=2.0)[: 10 * 48000]
    spoken = {"alice": 0.5, "dave": 12.0}
    assert result_of(kept, tmp_path / "a.wav", last, spoken).faults == []


def test_a_check_that_fails_ends_the_command_with_1_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_here: Cli
):
    result = result_of(placed(alice=1.0), tmp_path / "mixed.wav", SCENE, SPOKEN)

    async def run_demo(*_: object, **__: object) -> list[SceneResult]:
        return [result]

    monkeypatch.setattr(demo, "run_demo", run_demo)
    done = run_here("demo", "--out", tmp_path)
    assert_one_line_error(done, 1, "mixed.wav: bob is missing")
    assert "WRONG" in done.stdout


def test_a_place_that_cannot_be_made_is_one_line(tmp_path: Path, run_here: Cli):
    (tmp_path / "file").write_text("the user's own")
    done = run_here("demo", "--out", tmp_path / "file")
    assert_one_line_error(done, 1, str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "the user's own"


def test_the_scenes_leave_the_promised_files_within_two_minutes():
    assert [scene.file_name for scene in SCENES] == [
        "mixed.wav",
        "mixed.aac",
        "local.wav",
        "remote.aac",
        "last10.wav",
    ]
    assert sum(scene.seconds for scene in SCENES) < 100


def test_a_voice_counts_as_heard_by_how_well_it_matches():
    there = VoiceCheck("alice", 1.0, Match(1.05, 0.4))
    assert there.ok
    assert there.offset_ms == pytest.approx(50)
    assert not replace(there, match=Match(1.2, 0.9)).ok
    assert not replace(there, match=Match(1.0, 0.1)).ok
    assert VoiceCheck("bob", None, Match(3.0, 0.08)).ok
    assert not VoiceCheck("bob", None, Match(3.0, 0.3)).ok


def test_the_table_fits_eighty_columns_and_paths_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_here: Cli
):
    far = tmp_path / ("a-directory-with-a-rather-long-name" * 3)
    far.mkdir()
    scene = replace(SCENES[-1], seconds=4, lines=(("alice", 0.5),))
    result = result_of(speech("alice", 4.0, 16000), far / "last10.wav", scene, {"alice": 0.0})

    async def played(out: Path, say: object) -> list[SceneResult]:
        return [replace(result, path=far / "last10.wav")]

    monkeypatch.setattr(demo, "run_demo", played)
    monkeypatch.setenv("COLUMNS", "80")
    done = run_here("demo", "--out", far)
    lines = done.stdout.splitlines()
    assert any(str(far / "last10.wav") in line for line in lines)
    table = lines[next(i for i, line in enumerate(lines) if "What is in" in line) :]
    for line in table[: next(i for i, line in enumerate(table) if "Who spoke" in line)]:
        assert len(line) <= 80
    assert "last10.wav" in done.stdout


@pytest.mark.parametrize("lag_s", [0.01, 0.5])
async def test_on_a_busy_machine_a_scene_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lag_s: float
):
    path, said, tries = tmp_path / "mixed.wav", list[str](), []
    wrong = result_of(speech("bob", 4.0), path, SHORT, {"alice": 0.5})
    right = replace(wrong, checks=(), damage=())
    right = replace(right, duration_s=right.expected_s)

    class Measured:
        worst_s = lag_s

        def __init__(self, clock: object) -> None: ...

        async def __aenter__(self) -> Measured:
            return self

        async def __aexit__(self, *error: object) -> None: ...

    async def play(*given: object) -> SceneResult:
        tries.append(given)
        return right if len(tries) == 3 else wrong

    monkeypatch.setattr(demo, "_play", play)
    monkeypatch.setattr(demo, "Lag", Measured)
    mouths = {name: PushedAudio() for name in VOICES}
    result = await demo._try(SHORT, tmp_path, None, mouths, ScriptedClock(), said.append)  # type: ignore[arg-type]
    if lag_s < 0.1:  # not the machine's doing
        assert (len(tries), said, result) == (1, [], wrong)
    else:
        assert len(tries) == 3
        assert result is right
        assert said == ["this machine is busy: it kept the call waiting for 0.50 s; once more"] * 2


async def test_lag_is_how_much_later_than_it_should_somebody_wakes():
    clock = ScriptedClock()
    async with MeasuredLag(clock) as lag:
        await clock.advance(1)
    assert lag.worst_s == 0
