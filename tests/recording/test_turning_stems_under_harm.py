"""A disk that fails, or a kill, while a recording with stems turns."""

from __future__ import annotations

import asyncio
import errno
import itertools
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from roomtape.storage.recover import recover
from roomtape.types import AudioRecordingCode, AudioRecordingWarning, Pcm
from roomtape.types.errors import DamagedFileError, FileError
from support.faulty_disk import Fault, HarmWhileOn, Snapshots
from support.processes import descriptors
from support.readers import read_all
from support.saved_parts import FRAME
from support.scripted_recording import listing, until
from support.turned_call import COMPLETE_S, RATE, Call, check_part, plain

SUFFIX = pytest.mark.parametrize("suffix", ["wav", "aac"])


@pytest.mark.slow
@SUFFIX
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_any_call_of_a_turn_may_fail_and_the_stems_are_as_they_were(
    back: bool, suffix: str, tmp_path: Path
):
    opened = descriptors()

    async def one(place: Path, fault: Fault | None) -> tuple[HarmWhileOn, bool]:
        disk = HarmWhileOn()
        call = Call(place, suffix, disk=disk, cycle_time=10)
        await call.start()
        call.join("alice")
        call.join("bob")
        await call.talk(3)
        parts = []
        if back:
            await call.recorder.promote(call.place / f"live.{suffix}")
            await call.talk(1)
        before = names_in(call.place)
        disk.fault, disk.on = fault, True
        failed = False
        try:
            if back:
                parts.append(await call.demote())
            else:
                await call.recorder.promote()
        except FileError:
            failed = True
        disk.on = False
        if call.recorder.over:  # what failed was a write of the recording itself
            assert back
            await call.whole.stop()
            return disk, True
        refused = AudioRecordingCode.DEMOTE_FAILED if back else AudioRecordingCode.PROMOTE_FAILED
        if refused in call.codes:
            assert failed
            assert call.recorder.cyclic != back
            if fault is not None and fault.lasting == "once":  # else nothing can be removed
                assert names_in(call.place) == before
            # Nothing has happened to the stems, and it can be tried again.
            if back:
                parts.append(await call.demote())
            else:
                await call.recorder.promote()
        whole, report = await call.stop()
        if AudioRecordingWarning.STEM_FAILED not in call.codes:
            check_part(report, whole)
            for part in parts:
                check_part(part, whole, projects=False)  # where they cannot be written, none are
        return disk, failed

    counted, failed = await one(tmp_path / "counted", None)
    assert not failed
    failures = 0
    ways = [(errno.ENOSPC, "once"), (errno.EIO, "all")]
    each = 1 if suffix == "wav" else 4  # frames take longer to compare
    for at, (number, lasting) in itertools.product(range(0, len(counted.calls), each), ways):
        place = tmp_path / f"{at}-{lasting}"
        try:
            _, failed = await one(place, Fault(at, number, lasting))
        except Exception as error:
            raise AssertionError(f"{at}, {lasting} of {counted.calls}") from error
        failures += failed
        shutil.rmtree(place)
    assert failures > len(counted.calls) // (4 * each)
    await until(lambda: descriptors() <= opened)


def names_in(place: Path) -> set[str]:
    return {str(each.relative_to(place)) for each in place.rglob("*")}


@pytest.mark.slow
@SUFFIX
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_killed_at_any_call_of_a_turn_all_that_was_written_is_there(
    back: bool, suffix: str, tmp_path: Path
):
    dead = tmp_path / "dead"
    disk = Snapshots(tmp_path / "call", dead)
    call = Call(tmp_path, suffix, disk=disk, cycle_time=10)
    await call.start()
    call.join("alice")
    call.join("bob")
    await call.talk(4)
    if back:
        await call.recorder.promote(call.place / f"live.{suffix}")
        await call.talk(1)
    disk.on = True
    demoting = asyncio.ensure_future(call.recorder.demote() if back else call.recorder.promote())
    await asyncio.sleep(0)
    await call.talk(COMPLETE_S if back else 0.4)
    disk.on = False
    await asyncio.wait_for(demoting, 60)
    whole, _ = await call.stop()
    wholes = {plain(each): read_all(each)[0] for each in whole.stems}
    needed = (5 if back else 4) - 2  # a stem is written a second at once, and half a second late
    assert len(listing(dead)) > 10
    for remains in listing(dead):
        have = {name: set[int]() for name in wholes}
        for stem, first, pcm in recovered_stems(remains, suffix):
            lead = FRAME if suffix == "aac" else 0
            said = wholes[plain(stem)][first + lead : first + len(pcm)].astype(int)
            same = np.abs(pcm[lead : lead + len(said)] - said) <= (1 if lead else 0)
            # Silence may stand where nothing of it was there yet, at the end.
            good = int(np.argmin(same)) if not same.all() else len(same)
            assert not pcm[lead + good + 2 * lead :].any(), (remains.name, stem)
            have[plain(stem)] |= set(range(first // 1000, (first + lead + good) // 1000))
        for name, there in have.items():
            assert set(range(needed * RATE // 1000)) <= there, (remains.name, name)


def recovered_stems(remains: Path, suffix: str) -> Iterator[tuple[Path, int, Pcm]]:
    """Every stem that can be had of what a kill left, where it begins, and what is in it."""
    stems = remains / "stems"
    live = [each for each in sorted(stems.glob(f"*.{suffix}")) if each.stat().st_size]
    for ring in sorted(remains.glob("*.ring")):
        with suppress(DamagedFileError):  # nothing was written to it yet
            done = recover(ring, remains / f"recovered.{suffix}")
            for each in done.stems.files:
                if each not in live:
                    yield each, round(done.start_s * RATE), read_all(each)[0]
    for each in live:
        to = each.with_name(f"{each.stem}.recovered.{suffix}")
        with suppress(DamagedFileError):
            recover(each, to)
            yield each, 0, read_all(to)[0]
