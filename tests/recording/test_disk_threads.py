"""One thread writes for everybody, and nobody waits for another one's disk."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.recording.writing.disk_threads import DiskThreads, Errand
from roomtape.storage.disk import Disk
from support.faulty_disk import HangingDisk
from support.readers import read_all
from support.signals import noise

RATE = 16000


def count_threads() -> int:
    return sum(each.name == "roomtape-disk" for each in threading.enumerate())


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    for each in threading.enumerate():
        if each.name == "roomtape-disk":
            each.join(60)
    assert not count_threads()


class Job:
    """Counts what is done of it, and never does it twice at the same time."""

    def __init__(self, threads: DiskThreads, *, work: Callable[[], None] = lambda: None) -> None:
        self.done = threading.Semaphore(0)
        self.unasked = threading.Semaphore(0)
        self.over = False
        self._work = work
        self._alone = threading.Lock()
        self.errand: Errand = threads.begin(self._do)

    def _do(self, unasked: bool) -> bool:
        assert self._alone.acquire(blocking=False)
        self._work()
        self._alone.release()
        (self.unasked if unasked else self.done).release()
        return not self.over

    def end(self) -> None:
        self.over = True
        self.errand.wake()


@pytest.mark.realtime
def test_who_is_called_comes_and_who_is_not_comes_after_a_second() -> None:
    threads = DiskThreads()
    jobs = [Job(threads) for _ in range(40)]
    for each in jobs:
        each.errand.wake()
    assert all(each.done.acquire(timeout=60) for each in jobs)
    assert all(each.unasked.acquire(timeout=60) for each in jobs)
    assert count_threads() == 2
    for each in jobs:
        each.end()
        each.errand.wake()  # it does not matter any more


@pytest.mark.realtime
def test_many_that_are_called_all_the_time_are_each_at_one_thread_at_a_time() -> None:
    threads, dice = DiskThreads(), random.Random(5)
    jobs = [Job(threads, work=lambda: None) for _ in range(8)]

    def call(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(2000):
            dice.choice(jobs).errand.wake()

    callers = [threading.Thread(target=call, args=(dice.random(),)) for _ in range(4)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    for job in jobs:  # a call that came last is heard
        while job.done.acquire(blocking=False):
            pass
        job.errand.wake()
        assert job.done.acquire(timeout=60)
        job.end()


@pytest.mark.realtime
def test_who_hangs_takes_a_thread_and_nobody_else_notices() -> None:
    threads, going = DiskThreads(), threading.Event()
    hanging = [Job(threads, work=lambda: going.wait(120)) for _ in range(5)]
    others = [Job(threads) for _ in range(5)]
    try:
        for each in hanging:
            each.errand.wake()
        for _ in range(3):
            for each in others:
                each.errand.wake()
            assert all(each.done.acquire(timeout=60) for each in others)
        assert not any(each.done.acquire(blocking=False) for each in hanging)
        assert count_threads() >= 7  # theirs, another's, and a spare one
    finally:
        going.set()
    assert all(each.done.acquire(timeout=60) for each in hanging)
    for each in hanging + others:
        each.end()


@pytest.mark.realtime
def test_who_is_not_called_is_looked_after_while_another_hangs() -> None:
    """So a recorder whose loop was closed is finished, whatever another one's disk does."""
    threads, going, begun = DiskThreads(), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        going.wait(120)

    hanging, other = Job(threads, work=hang), Job(threads)
    try:
        hanging.errand.wake()
        assert begun.wait(60)
        assert other.unasked.acquire(timeout=20)
        assert other.unasked.acquire(timeout=20)
    finally:
        going.set()
        hanging.end()
        other.end()


@pytest.mark.realtime
def test_who_raises_ends_alone(caplog: pytest.LogCaptureFixture) -> None:
    threads = DiskThreads()
    broken, other = Job(threads, work=lambda: 1 / 0), Job(threads)  # type: ignore[arg-type,return-value]
    broken.errand.wake()
    other.errand.wake()
    assert other.done.acquire(timeout=60)
    other.end()
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.realtime
def test_without_a_spare_thread_it_goes_on_and_the_next_turn_tries_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    threads, going, begun = DiskThreads(), threading.Event(), threading.Semaphore(0)

    def hang() -> None:
        begun.release()
        going.wait(120)

    jobs = [Job(threads, work=hang), Job(threads, work=hang)]
    with patch.object(threading.Thread, "start", side_effect=RuntimeError("no more")):
        for each in jobs:
            each.errand.wake()
            assert begun.acquire(timeout=60)  # at the second one is the spare thread
        with pytest.raises(RuntimeError):
            Job(threads)
    assert "no thread to stand by" in caplog.text
    third = Job(threads)  # now there is one
    third.errand.wake()
    assert third.done.acquire(timeout=60)
    going.set()
    for each in (*jobs, third):
        each.end()


async def speak(recorder: AudioRecorder, name: str, seconds: float) -> np.ndarray:
    """In real time; and what was said."""
    pcm = noise(len(name), seconds, RATE)
    source, begun = recorder.add_source(name), time.monotonic()
    for at in range(0, len(pcm), RATE // 50):
        await asyncio.sleep(max(0.0, begun + at / RATE - time.monotonic()))
        source.push(pcm[at : at + RATE // 50], RATE, at)
    return pcm


@pytest.mark.realtime
async def test_a_dozen_recordings_have_two_threads(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group, AsyncRecorders(tmp_path, 12) as recorders:
        for each in recorders:
            group.create_task(speak(each, "alice", 1.5))
        await asyncio.sleep(1.6)
        assert count_threads() == 2
    for each in recorders:
        assert each.report is not None
        assert (each.report.error, each.report.unwritten_s) == ("", 0)
        assert len(read_all(each.report.file_path)[0]) / RATE == each.report.duration_s


@pytest.mark.realtime
async def test_where_most_disks_hang_the_others_record_and_stop(tmp_path: Path) -> None:
    disk = HangingDisk("write", "fsync")
    with ExitStack() as undo:
        undo.callback(disk.release)
        async with AsyncRecorders(tmp_path, 6, disk=disk) as hung:
            async with AsyncRecorders(tmp_path / "other", 3) as recorders:
                talks = [asyncio.create_task(speak(each, "al", 3)) for each in hung + recorders]
                await asyncio.sleep(0.7)
                disk.hang()
                await asyncio.gather(*talks)
            reports = [each.report for each in recorders]  # which have stopped
            assert not any(each.over for each in hung)
            disk.release()
    for report in [*reports, *(each.report for each in hung)]:
        assert report is not None
        assert (report.error, report.unwritten_s) == ("", 0)
        pcm, _ = read_all(report.file_path)
        assert len(pcm) / RATE == report.duration_s
        (source,) = report.sources
        if not source.lost_s + source.late_s + source.reanchored:  # a machine too busy for it
            said = talks[0].result()
            start = int(np.flatnonzero(pcm)[0]) - int(np.flatnonzero(said)[0])
            assert np.array_equal(pcm[start : start + len(said)], said[: len(pcm) - start])


class AsyncRecorders:
    """So many, which record until the end of it."""

    def __init__(self, directory: Path, count: int, *, disk: Disk | None = None) -> None:
        directory.mkdir(exist_ok=True)
        self._recorders = [
            AudioRecorder(
                AudioRecordingConfiguration(directory / f"{number}.wav", sample_rate=RATE),
                disk=disk,
            )
            for number in range(count)
        ]

    async def __aenter__(self) -> list[AudioRecorder]:
        for each in self._recorders:
            await each.start()
        return self._recorders

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(each.stop() for each in self._recorders))
