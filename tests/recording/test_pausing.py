"""Pauses with a tone, and pauses that are cut out: what everything else makes of their time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from roomtape import ActKind, IntervalKind, PauseMode, TimeCut, make_vcon
from roomtape.analysis.plot import plot_file
from roomtape.audio.discretion.tone import TONE_HZ, TONE_PEAK
from roomtape.storage.recover import recover
from roomtape.types.errors import StateError
from support.cues import read_cues_libsndfile
from support.discreet_room import PUBLIC, RATE, SECRET, STEP, Room, holds_secret
from support.program import Cli
from support.readers import read_all

SUFFIXES = pytest.mark.parametrize("suffix", ["wav", "aac"])


@pytest.mark.parametrize("channels", [1, 2])
async def test_a_tone_says_that_it_is_paused(tmp_path: Path, channels: int) -> None:
    room = Room(tmp_path / "a.wav", channels=channels, stems=tmp_path / "stems")
    await room.recorder.start()
    room.join("alice")
    await room.go_on(10)
    room.recorder.pause("tone", by="the agent")
    await room.go_on(20, alice=SECRET)
    room.recorder.resume()
    await room.go_on(20)
    pcm, report = await room.stop()
    assert report.duration_s == 5.0
    assert report.cuts == ()
    for side in pcm.reshape(len(pcm), -1).T:
        paused = side[RATE : 3 * RATE].astype(int)
        spectrum = np.abs(np.fft.rfft(paused))
        assert np.argmax(spectrum) == 2 * TONE_HZ
        assert abs(paused).max() == TONE_PEAK
        assert not side[3 * RATE : 4 * RATE].any()
    stem, _ = read_all(Path(report.stems[0]))
    assert np.all(stem[:RATE] == PUBLIC)
    assert not stem[RATE : 4 * RATE].any()
    assert [(act.kind, act.at_s, act.how) for act in report.acts] == [
        (ActKind.PAUSED, 1.0, "tone"),
        (ActKind.RESUMED, 3.0, ""),
    ]


@SUFFIXES
async def test_a_pause_is_cut_out_and_everything_counts_in_the_file(
    tmp_path: Path, suffix: str, run_here: Cli
) -> None:
    path = tmp_path / f"a.{suffix}"
    room = Room(path, report=True, stems=tmp_path / "stems")
    await room.recorder.start()
    room.join("alice")
    await room.go_on(10)
    room.recorder.pause(PauseMode.SKIP, by="the agent")
    room.recorder.pause("skip")
    await room.go_on(10, alice=SECRET)
    inside = room.recorder.mark("inside")
    room.join("bob")
    await room.go_on(10, alice=SECRET, bob=SECRET)
    room.recorder.resume()
    await room.go_on(10, alice=SECRET, bob=SECRET)  # a second until voices are heard again
    await room.go_on(10, alice=PUBLIC + 1)
    after, earlier = room.recorder.mark("after"), room.recorder.mark("earlier", at=0.5)
    assert room.recorder.duration_s == pytest.approx(5.0)
    saved = asyncio.ensure_future(room.recorder.save(tmp_path / f"b.{suffix}", last_s=1.5))
    await room.go_on(10)
    pcm, report = await room.stop()
    part = await saved
    assert (inside.at_s, after.at_s, earlier.at_s) == (1.0, 2.0, 0.5)
    assert report.cuts == (TimeCut(1.0, 3.0),)
    assert [(mark.label, mark.at_s) for mark in report.marks] == [
        ("earlier", 0.5),
        ("inside", 1.0),
        ("after", 2.0),
    ]
    assert [(act.kind.value, act.at_s, act.how) for act in report.acts] == [
        ("paused", 1.0, "skip"),
        ("resumed", 1.0, ""),
    ]
    assert report.time_of(0.5) == report.started_at + timedelta(seconds=0.5)
    assert report.time_of(2.0) == report.started_at + timedelta(seconds=5.0)
    alice, bob = report.sources
    assert (alice.joined_s, bob.joined_s, bob.left_s) == (0.0, 1.0, 3.0)
    absent = [each for each in bob.intervals if each.kind is IntervalKind.ABSENT]
    assert [(each.start_s, each.end_s) for each in absent] == [(0.0, 1.0)]
    assert part.cuts == (TimeCut(pytest.approx(0.5, abs=0.07), 3.0),)
    assert part.started_at == report.started_at + timedelta(
        seconds=0.5 if suffix == "wav" else part.skipped_s
    )
    assert not holds_secret(pcm)
    stem = read_all(Path(report.stems[0]))[0]
    if suffix == "wav":
        assert report.duration_s == 3.0
        assert np.all(pcm[:RATE] == PUBLIC)
        assert np.all(pcm[RATE : 2 * RATE] == 2 * PUBLIC + 1)
        assert len(stem) == len(pcm)
        assert np.all(stem[:RATE] == PUBLIC)
        assert np.all(stem[RATE : 2 * RATE] == PUBLIC + 1)
        assert len(read_all(tmp_path / "b.wav")[0]) == 1.5 * RATE
        assert read_cues_libsndfile(path) == [(each.sample, each.label) for each in report.marks]
    else:
        assert abs(len(pcm) - 3 * RATE) <= 1024
    lines = run_here("inspect", path).stdout.splitlines()
    assert lines[-1] == "cut: 0:01.000 3.000 s"
    plot_file(path, tmp_path / "a.png")
    teal = np.array([0x00, 0x79, 0x6B]) / 255
    near = np.abs(imread(tmp_path / "a.png")[:, :, :3] - teal).max(axis=2) < 0.02
    assert int((near.sum(axis=0) > 100).sum()) >= 1  # a line at the cut
    joined = [
        each["time"]
        for each in make_vcon(path)["dialog"][0]["party_history"]
        if (each["party"], each["event"]) == (1, "join")
    ]
    assert joined == [report.time_of(1.0).isoformat()]


async def test_a_cycle_and_numbered_files_lack_what_was_cut_out(tmp_path: Path) -> None:
    for options in ({"cycle_time": 10}, {"split_s": 2}):
        room = Room(tmp_path / f"{len(options)}{next(iter(options))}.wav", **options)
        await room.recorder.start()
        room.join("alice")
        await room.go_on(30)
        room.recorder.pause("skip")
        await room.go_on(100, alice=SECRET)
        room.recorder.resume()
        await room.go_on(10, alice=SECRET)
        await room.go_on(35)
        pcm, report = await room.stop()
        assert np.all(pcm == PUBLIC)
        if "cycle_time" in options:
            assert report.cuts == (TimeCut(3.0, 11.0),)
            assert report.duration_s == 6.5
        else:
            assert report.part == 4
            assert report.duration_s == 0.5
            assert report.started_at == room.recorder.last_part.time_of(2.0)  # type: ignore[union-attr]


async def test_pauses_change_and_begin_and_end_anywhere(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav")
    room.recorder.pause("skip")
    await room.recorder.start()
    room.join("alice")
    await room.go_on(10, alice=SECRET)
    room.recorder.resume()
    await room.go_on(5, alice=SECRET)
    room.recorder.pause("skip")  # the cut before is not over
    await room.go_on(5, alice=SECRET)
    room.recorder.pause("silence")
    await room.go_on(5, alice=SECRET)
    room.recorder.pause("tone")
    await room.go_on(5, alice=SECRET)
    room.recorder.pause("skip")
    await room.go_on(5, alice=SECRET)
    pcm, report = await room.stop()
    assert not holds_secret(pcm)
    assert len(pcm) == 10 * STEP
    assert not pcm[: 5 * STEP].any()
    assert pcm[5 * STEP :].any()
    assert report.cuts == ()  # one before, one behind
    assert report.started_at.timestamp() == pytest.approx(room.clock.utc().timestamp() - 1.5)
    assert [act.how for act in report.acts] == ["skip", "", "skip", "silence", "tone", "skip"]


async def test_a_recording_that_is_all_cut_out_is_empty(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav", cycle_time=10)
    room.recorder.pause("skip")
    await room.recorder.start()
    room.join("alice")
    await room.go_on(10, alice=SECRET)
    with pytest.raises(StateError, match="nothing to save"):
        await room.recorder.save(tmp_path / "b.wav")
    pcm, report = await room.stop()
    assert len(pcm) == report.duration_s == 0


async def test_what_a_crash_leaves_lacks_the_pause_as_well(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav", cycle_time=10)
    await room.recorder.start()
    room.join("alice")
    await room.go_on(10)
    room.recorder.pause("skip")
    await room.go_on(30, alice=SECRET)
    ring = tmp_path / "copy.wav.ring"
    ring.write_bytes((tmp_path / "a.wav.ring").read_bytes())
    await room.stop()
    pcm, _ = read_all(recover(ring, tmp_path / "recovered.wav").path)
    assert np.all(pcm == PUBLIC)
    assert RATE - STEP <= len(pcm) <= RATE  # a unit waits until it is full


async def test_modes_that_are_none_and_cuts_that_are_too_many_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path / "a.wav")
    await room.recorder.start()
    with pytest.raises(ValueError, match="mode is 'beep'; it must be one of silence, tone, skip"):
        room.recorder.pause("beep")
    monkeypatch.setattr("roomtape.audio.discretion.pauses.MOST_CUTS", 1)
    room.recorder.pause("skip")
    room.recorder.resume()
    await room.go_on(20)
    with pytest.raises(StateError, match="cuts; pause otherwise"):
        room.recorder.pause("skip")
    assert not room.recorder.paused
    room.recorder.pause()
    assert room.recorder.paused
    await room.stop()
