"""Voices that are forgotten: in rings, in what waits for the disk, and in what is being saved."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import ActKind, AudioRecorder, AudioRecordingConfiguration, Forgotten
from roomtape.storage.recover import recover
from roomtape.types.errors import FileError, StateError
from support.discreet_room import PUBLIC, RATE, SECRET, STEP, Room, holds_secret
from support.faulty_disk import Fault, FaultyDisk
from support.readers import read_all
from support.scripted_recording import listing

SUFFIXES = pytest.mark.parametrize("suffix", ["wav", "aac"])
NOISE = np.random.default_rng(1).integers(-9000, 9000, STEP).astype(np.int16)


def on_disk(directory: Path) -> bytes:
    """Every byte that is there."""
    return b"".join(each.read_bytes() for each in directory.rglob("*") if each.is_file())


def nothing_secret(directory: Path) -> bool:
    return bytes(np.full(4, SECRET, "<i2")) not in on_disk(directory)


async def test_a_ring_forgets_one_voice_and_keeps_who_spoke_at_other_times(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav", cycle_time=10)
    await room.recorder.start()
    room.join("alice")
    room.join("bob (2)")
    await room.go_on(30, **{"bob (2)": 0})
    await room.go_on(20, alice=0, **{"bob (2)": SECRET})
    await room.go_on(30, **{"bob (2)": 0})
    assert not nothing_secret(tmp_path)
    forgotten = await room.recorder.forget("bob", by="himself")
    assert nothing_secret(tmp_path)
    await room.go_on(10, **{"bob (2)": SECRET})
    assert nothing_secret(tmp_path)
    pcm, report = await room.stop()
    assert np.all(pcm[: 27 * STEP] == PUBLIC)
    assert not pcm[27 * STEP : 53 * STEP].any()
    assert np.all(pcm[53 * STEP :] == PUBLIC)
    assert forgotten == Forgotten(2.6, ())
    assert report.forgotten_s == 2.6
    assert [(act.kind, act.at_s, act.who, act.by) for act in report.acts] == [
        (ActKind.FORGOTTEN, 8.0, "bob", "himself")
    ]
    assert [each.silenced_s for each in report.sources] == [0.0, 1.0]


async def test_frames_of_aac_are_forgotten_with_their_neighbours(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.aac", cycle_time=10)
    await room.recorder.start()
    room.join("alice")
    bob = room.recorder.add_source("bob")
    for tenth in range(60):
        if 20 <= tenth < 40:
            bob.push(NOISE, RATE, tenth * STEP)
        await room.go_on(1, alice=0)
    assert (await room.recorder.forget("bob")).silenced_s > 2
    recovered = tmp_path / "recovered.aac"
    ring = tmp_path / "copy.aac.ring"
    ring.write_bytes((tmp_path / "a.aac.ring").read_bytes())
    recover(ring, recovered)
    assert not read_all(recovered)[0].any()
    pcm, report = await room.stop()
    assert not pcm.any()
    assert report.forgotten_s == pytest.approx(2.9, abs=0.2)


@SUFFIXES
@pytest.mark.parametrize("rate", [8000, RATE, 48000])
async def test_what_waits_anywhere_is_not_written(tmp_path: Path, suffix: str, rate: int) -> None:
    """Said just before: not mixed yet, in a filter, a limiter, an encoder, or on its way."""
    room = Room(tmp_path / f"a.{suffix}", stems=tmp_path / "stems")
    await room.recorder.start()
    bob, bot = room.recorder.add_source("bob"), room.recorder.add_playout("bob (2)")
    noise = np.random.default_rng(2).integers(-9000, 9000, rate // 10).astype(np.int16)
    for tenth in range(12):
        if tenth >= 8:
            bob.push(noise, rate, tenth * rate // 10)
        await room.go_on(1)
        if tenth == 8:
            bot.push(np.tile(noise, 30), rate)
    forgotten = await room.recorder.forget("bob")
    await room.go_on(20)
    report = await room.recorder.stop()
    pcm, _ = read_all(report.file_path)
    assert not pcm[int((1.2 - 0.5 + 0.2) * RATE) :].any()
    for stem in report.stems:
        assert not read_all(Path(stem))[0][int((1.2 - 0.5 + 0.2) * RATE) :].any()
    assert {*forgotten.still_in} <= {report.file_path, *report.stems}


@SUFFIXES
@pytest.mark.parametrize("cycle_time", [0, 10])
async def test_what_is_being_saved_or_will_be_has_none_of_it(
    tmp_path: Path, suffix: str, cycle_time: int
) -> None:
    room = Room(tmp_path / f"a.{suffix}", cycle_time=cycle_time)
    await room.recorder.start()
    room.join("alice")
    bob = room.recorder.add_source("bob")

    async def go_on(steps: int, speaks: bool) -> None:
        for _ in range(steps):
            if speaks:
                bob.push(NOISE, RATE, room.said)
            await room.go_on(1, alice=0)

    await go_on(10, speaks=False)
    await go_on(20, speaks=True)
    early = tmp_path / f"early.{suffix}"
    done = asyncio.ensure_future(room.recorder.save(early))
    await go_on(10, speaks=False)
    await done
    running = asyncio.ensure_future(room.recorder.save(tmp_path / f"b.{suffix}", then_s=3))
    await go_on(15, speaks=True)
    forgotten = await room.recorder.forget("bob")
    await go_on(30, speaks=True)
    report = await running
    assert not read_all(tmp_path / f"b.{suffix}")[0].any()
    assert report.forgotten_s > 3
    later = await asyncio.gather(
        room.recorder.save(tmp_path / f"c.{suffix}", then_s=0), go_on(15, speaks=True)
    )
    assert not read_all(tmp_path / f"c.{suffix}")[0].any()
    assert later[0].forgotten_s > 3
    live = [str(room.recorder.path)] if not cycle_time else []
    assert forgotten.still_in == (*live, str(early))
    final, _ = await room.stop()
    assert final.any() == (not cycle_time)


async def test_a_live_recording_that_was_cyclic_has_none_of_it_or_says_so(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav", cycle_time=10)
    await room.recorder.start()
    room.join("alice")
    room.join("bob")
    await room.go_on(20, bob=SECRET)
    assert (await room.recorder.forget("bob")).still_in == ()
    await room.recorder.promote(tmp_path / "live.wav")
    await room.go_on(10, bob=SECRET)
    assert nothing_secret(tmp_path)
    room.recorder.include("bob")
    await room.go_on(30, bob=SECRET)
    forgotten = await room.recorder.forget("bob")
    assert forgotten == Forgotten(0.0, (str(tmp_path / "live.wav"),))
    demoted = asyncio.ensure_future(room.recorder.demote())
    await room.go_on(20, bob=SECRET)
    await demoted
    pcm, report = await room.stop()
    assert not holds_secret(pcm)
    # The part that came first is finished, and stays as it is.
    assert holds_secret(read_all(tmp_path / "live.wav")[0])
    assert report.forgotten_s == 0.0


async def test_who_was_forgotten_can_be_included_again_and_none_of_before_comes_back(
    tmp_path: Path,
) -> None:
    room = Room(tmp_path / "a.wav")
    await room.recorder.start()
    room.join("alice")
    room.join("bob")
    await room.go_on(10, bob=PUBLIC)
    room.sources["bob"].push(np.full(30 * STEP, SECRET, np.int16), RATE, room.said)  # far ahead
    await room.recorder.forget("bob")
    room.recorder.include("bob")
    del room.sources["bob"]
    await room.go_on(50)
    again = room.recorder.add_source("bob")
    room.sources["bob"] = again
    await room.go_on(10, bob=7)
    pcm, report = await room.stop()
    assert not holds_secret(pcm)
    assert np.all(pcm[-5 * STEP :] == PUBLIC + 7)
    assert [act.kind.value for act in report.acts] == ["forgotten", "included"]


@pytest.mark.parametrize("call", [0, 1], ids=["write", "sync"])
async def test_a_disk_that_refuses_leaves_the_recording_as_it_was(
    call: int, tmp_path: Path
) -> None:
    disk = FaultyDisk()
    room = Room(tmp_path / "a.wav", disk=disk, cycle_time=10)
    await room.recorder.start()
    room.join("bob")
    await room.go_on(20, bob=SECRET)
    disk.fault = Fault(len(disk.calls) + call, errno.EIO)
    with pytest.raises(FileError, match="not all is forgotten"):
        await room.recorder.forget("bob")
    await room.go_on(10, bob=SECRET)
    await room.recorder.forget("bob")
    assert nothing_secret(tmp_path)
    pcm, report = await room.stop()
    assert not pcm.any()
    assert not report.error


async def test_what_is_decided_in_the_last_moment_is_in_the_report(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav", cycle_time=10)
    await room.recorder.start()
    room.join("bob")
    await room.go_on(3, bob=SECRET)
    await room.clock.advance(1 / 3)  # no whole sample
    await room.recorder.forget("bob")
    pcm, report = await room.stop()
    assert not pcm.any()
    assert [act.kind for act in report.acts] == [ActKind.FORGOTTEN]
    assert report.acts[0].at_s == pytest.approx(report.duration_s)


async def test_before_the_start_it_excludes_and_after_the_end_it_is_refused(
    tmp_path: Path,
) -> None:
    room = Room(tmp_path / "a.wav")
    assert await room.recorder.forget("bob") == Forgotten(0.0, ())
    await room.recorder.start()
    room.join("bob")
    await room.go_on(10, bob=SECRET)
    with pytest.raises(ValueError, match="a name is a text"):
        await room.recorder.forget(None)  # type: ignore[arg-type]
    pcm, _ = await room.stop()
    assert not pcm.any()
    with pytest.raises(StateError, match="is over"):
        await room.recorder.forget("bob")


@pytest.mark.realtime
@SUFFIXES
async def test_on_threads_a_save_and_a_promotion_under_way_forget_too(
    tmp_path: Path, suffix: str
) -> None:
    codes: list[str] = []
    recorder = AudioRecorder(
        AudioRecordingConfiguration(tmp_path / f"a.{suffix}", sample_rate=RATE, cycle_time=10),
        on_event=lambda event: codes.append(event.code.name),
    )
    going = True

    async def speak(source: Any) -> None:
        pts = 0
        while going:
            source.push(NOISE, RATE, pts)
            pts += STEP
            await asyncio.sleep(0.1)

    async with recorder:
        speaking = asyncio.ensure_future(speak(recorder.add_source("bob")))
        await asyncio.sleep(1.5)
        saving = asyncio.ensure_future(recorder.save(tmp_path / f"b.{suffix}", then_s=1))
        await asyncio.sleep(0.1)
        promoting = asyncio.ensure_future(recorder.promote(tmp_path / f"live.{suffix}"))
        forgotten, turned = await asyncio.gather(
            recorder.forget("bob"), promoting, return_exceptions=True
        )
        assert isinstance(forgotten, Forgotten)
        await saving
        going = False
        await speaking
    assert not read_all(tmp_path / f"b.{suffix}")[0].any()
    if isinstance(turned, FileError):
        assert "forgotten meanwhile" in str(turned)
        assert not read_all(tmp_path / f"a.{suffix}")[0].any()
        assert not (tmp_path / f"live.{suffix}").exists()
    else:
        assert forgotten.still_in == (str(tmp_path / f"live.{suffix}"),)


@SUFFIXES
async def test_a_save_whose_file_cannot_be_changed_fails_and_leaves_nothing(
    tmp_path: Path, suffix: str
) -> None:
    disk = FaultyDisk()
    room = Room(tmp_path / f"a.{suffix}", disk=disk, cycle_time=10)
    await room.recorder.start()
    bob = room.recorder.add_source("bob")
    for _ in range(20):
        bob.push(NOISE, RATE, room.said)
        await room.go_on(1)
    saved = tmp_path / f"b.{suffix}"
    running = asyncio.ensure_future(room.recorder.save(saved, then_s=3))
    for _ in range(10):
        bob.push(NOISE, RATE, room.said)
        await room.go_on(1)
    disk.fault = Fault(len(disk.calls), errno.EIO)
    forgotten = await room.recorder.forget("bob")
    with pytest.raises(FileError, match="cannot save"):
        await running
    assert disk.hit
    assert forgotten.still_in == ()
    assert listing(tmp_path) == [tmp_path / f"a.{suffix}.ring"]
    pcm, _ = await room.stop()
    assert not pcm.any()
