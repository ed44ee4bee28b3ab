"""Every call to the disk that a short recording makes fails in its turn, in every way.

The way SQLite tests itself: run once to count the calls, then once for each call and each way in
which it can fail. Whatever fails, a recording ends with FINISH or one ERROR, what it wrote can be
read or recovered, what stood there before is still there, and what never started leaves nothing.
"""

from __future__ import annotations

import errno
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from roomtape.storage.recover import recover
from roomtape.types import AudioRecordingCode
from roomtape.types.errors import FileError
from support.damage import adts_offsets
from support.faulty_disk import SHORT, Fault, FaultyDisk
from support.readers import read_all
from support.scripted_recording import Outcome, record_scripted

RATE_HZ = 16000
OLDER = b"an older recording"
START, ERROR, FINISH = (
    AudioRecordingCode.START,
    AudioRecordingCode.ERROR,
    AudioRecordingCode.FINISH,
)


def faults(calls: list[str]) -> list[Fault]:
    ways = itertools.product((errno.EIO, errno.ENOSPC, errno.EINTR), ("once", "kind", "all"))
    every = list(ways)
    short = [(SHORT, "once"), (SHORT, "kind")]
    return [
        Fault(at, number, lasting)
        for at, name in enumerate(calls)
        for number, lasting in (every + short if name == "write" else every)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("cycle_time", [0, 10], ids=["live", "cyclic"])
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_any_call_may_fail_in_any_way(suffix: str, cycle_time: int, ram_path: Path):
    config = {"sample_rate": RATE_HZ, "cycle_time": cycle_time, "report": True}
    counting = FaultyDisk()
    (ram_path / "whole").mkdir()
    whole = ram_path / "whole" / f"call.{suffix}"
    whole.write_bytes(OLDER)
    outcome = await record_scripted(whole, disk=counting, **config)
    assert outcome.codes == [START, FINISH]
    tried = faults(counting.calls)
    ended: Counter[str] = Counter()
    for number, fault in enumerate(tried):
        directory = ram_path / str(number)
        directory.mkdir()
        target = directory / f"call.{suffix}"
        target.write_bytes(OLDER)
        disk = FaultyDisk(fault)
        outcome = await record_scripted(target, disk=disk, **config)
        told = f"{fault} at {disk.hit}, call {fault.at} of {counting.calls}: {outcome}"
        try:
            check(outcome, target, whole, disk)
        except Exception as error:
            raise AssertionError(told) from error
        ended[outcome.codes[-1].name if outcome.codes else "refused"] += 1
    print(f"{len(counting.calls)} calls, {len(tried)} faults: {dict(ended)}")  # noqa: T201
    assert ended["ERROR"] > len(counting.calls)
    assert ended["refused"] > 10


def check(outcome: Outcome, target: Path, whole: Path, disk: FaultyDisk) -> None:
    assert OLDER in [each.read_bytes() for each in target.parent.iterdir()]
    if outcome.refused:
        assert outcome.codes == []
        # A disk on which nothing can be removed or renamed any more cannot be tidied up either.
        untidy = disk.fault.lasting == "all" or (
            disk.fault.lasting == "kind" and disk.hit in ("unlink", "rename_new")
        )
        if not untidy:
            assert list(target.parent.iterdir()) == [target], "something was left behind"
            assert target.read_bytes() == OLDER
        return
    assert outcome.report is not None
    assert outcome.codes in ([START, FINISH], [START, ERROR])
    assert bool(outcome.report.error) == (outcome.codes[-1] is ERROR)
    if outcome.codes[-1] is FINISH:
        assert target.read_bytes() == whole.read_bytes()
    elif (ring := target.with_name(target.name + ".ring")).exists():
        check_ring(outcome, ring, whole, target)
    else:
        check_readable(outcome, target, whole, disk)


def check_ring(outcome: Outcome, ring: Path, whole: Path, target: Path) -> None:
    """A cyclic recording's error keeps the ring; what it holds is what was recorded."""
    assert outcome.report is not None
    try:
        recovered = recover(ring)
    except FileError:
        assert outcome.report.duration_s == 0
        return
    assert recovered.missing == ()
    assert recovered.duration_s >= outcome.report.duration_s
    assert payload(whole).startswith(payload(target))


def check_readable(outcome: Outcome, target: Path, whole: Path, disk: FaultyDisk) -> None:
    assert outcome.report is not None
    there = payload(target)
    # A file that cannot be cut any more may end in half a frame; readers skip that.
    cut = disk.fault.lasting == "all" or disk.hit == "truncate"
    if target.suffix == ".wav":
        read, rate_hz = soundfile.read(target, dtype="int16")
        assert rate_hz == RATE_HZ
        assert np.array_equal(read, np.frombuffer(there[: len(there) // 2 * 2], "<i2"))
        samples = len(read)
    else:
        borders = [*adts_offsets(whole), whole.stat().st_size]
        frames = sum(border <= len(there) for border in borders) - 1
        assert cut or len(there) in borders
        samples = frames * 1024
    assert payload(whole).startswith(there)
    if cut:
        assert samples / RATE_HZ >= outcome.report.duration_s
    else:
        assert samples / RATE_HZ == outcome.report.duration_s


def payload(path: Path) -> bytes:
    return path.read_bytes()[80 if path.suffix == ".wav" else 0 :]


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_what_a_failed_write_leaves_opens_in_every_reader(suffix: str, tmp_path: Path):
    """The readable check above is quick; here the foreign programs have their say."""
    counting = FaultyDisk()
    await record_scripted(tmp_path / f"whole.{suffix}", disk=counting, sample_rate=RATE_HZ)
    writes = [at for at, name in enumerate(counting.calls) if name == "write"]
    for at in writes[3:]:
        target = tmp_path / f"{at}.{suffix}"
        outcome = await record_scripted(
            target, disk=FaultyDisk(Fault(at, errno.ENOSPC, "kind")), sample_rate=RATE_HZ
        )
        assert outcome.report is not None
        pcm, rate_hz = read_all(target)
        assert rate_hz == RATE_HZ
        assert abs(len(pcm) / RATE_HZ - outcome.report.duration_s) <= 1024 / RATE_HZ


async def test_an_error_that_only_fsync_reports_is_an_error_and_never_a_finish(tmp_path: Path):
    for suffix, cycle_time in itertools.product(("wav", "aac"), (0, 10)):
        counting = FaultyDisk()
        config = {"sample_rate": RATE_HZ, "cycle_time": cycle_time}
        await record_scripted(tmp_path / f"{cycle_time}.{suffix}", disk=counting, **config)
        syncs = [at for at, name in enumerate(counting.calls) if name == "fsync"]
        assert len(syncs) >= 4
        for at in syncs:
            outcome = await record_scripted(
                tmp_path / f"{cycle_time}-{at}.{suffix}",
                disk=FaultyDisk(Fault(at, errno.EIO)),
                **config,
            )
            assert outcome.refused or outcome.codes == [START, ERROR]
