"""Many saves of a recording with dozens of stems, in a process that may open few files."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from roomtape import FileError, OpenFileError, RecordingReport
from roomtape.recording.saving import saves
from roomtape.types import AudioRecordingWarning, RecordingEvent
from support.processes import descriptors
from support.readers import read_all
from support.scripted_recording import listing
from support.signals import noise
from support.talking import Talking

RATE = 16000
PEOPLE = 24


@contextmanager
def files_left(count: int) -> Iterator[None]:
    """So many more can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = len(os.listdir("/proc/self/fd")) + count  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("cycle_time", [0, 10])
async def test_those_that_cannot_be_say_so_and_the_recording_lacks_nothing(
    cycle_time: int, tmp_path: Path
):
    opened = descriptors()
    events: list[RecordingEvent] = []
    call = Talking(
        tmp_path / "call.wav", sample_rate=RATE, cycle_time=cycle_time, on_event=events.append
    )
    await call.recorder.start()
    for number in range(PEOPLE):
        call.join(f"p{number}", noise(number, 12, RATE) // 64, RATE)
    await call.talk(3)
    asked, refused = [], []
    with files_left(160):
        for number in range(8):
            path = tmp_path / f"save-{number}.wav"
            asked.append(asyncio.ensure_future(call.recorder.save(path, last_s=2, then_s=1)))
            await asyncio.sleep(0)
        call.join("late", noise(99, 12, RATE) // 64, RATE)  # there is room for a stem more
        await call.talk(4)
    done: list[RecordingReport] = []
    for each in asked:
        try:
            done.append(await each)
        except OpenFileError as error:
            refused.append(str(error))
    again = asyncio.ensure_future(call.recorder.save(tmp_path / "again.wav", last_s=2))
    await asyncio.sleep(0)
    await call.talk(2)
    done.append(await again)
    report = await call.end()
    assert len(done) >= 3
    assert len(refused) >= 4
    assert all("too many open files: it takes" in words for words in refused)
    assert all("(ulimit -n)" in words for words in refused)
    for saved in done:
        assert saved.warnings == ()
        assert len(saved.stems) >= PEOPLE
        summed = np.sum([read_all(each)[0].astype(int) for each in saved.stems], axis=0)
        assert np.abs(summed - read_all(saved.file_path)[0]).max() <= 1
    assert AudioRecordingWarning.STEM_FAILED not in [each.code for each in events]
    assert not report.error
    assert len(report.stems) == PEOPLE + 1
    assert len({len(read_all(each)[0]) for each in (report.file_path, *report.stems)}) == 1
    assert [each.suffix for each in listing(tmp_path)].count(".part") == 0
    assert descriptors() <= opened


@pytest.mark.parametrize("left", range(8))
async def test_a_save_for_which_there_are_none_after_all_fails_whole(
    left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Somebody else has opened files meanwhile."""
    monkeypatch.setattr(saves, "check_descriptors", lambda _: None)
    call = Talking(tmp_path / "call.wav", sample_rate=RATE)
    await call.recorder.start()
    for number in range(3):
        call.join(f"p{number}", noise(number, 12, RATE) // 8, RATE)
    await call.talk(3)
    before = listing(tmp_path)
    opened = descriptors()
    with files_left(left):
        saving = asyncio.ensure_future(call.recorder.save(tmp_path / "part.wav", last_s=2))
        await asyncio.sleep(0)
        await call.talk(2)
    with pytest.raises(FileError, match="too many open files"):
        await saving
    assert listing(tmp_path) == before
    assert descriptors() <= opened
    report = await call.end()
    assert not report.error
    assert len(report.stems) == 3
