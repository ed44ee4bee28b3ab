"""What fails is told as it was: once, with what is there, and with nothing left open."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingCode, AudioRecordingConfiguration
from roomtape.audio.aac import AacEncoder
from roomtape.audio.encoder import PcmEncoder
from roomtape.audio.limiter import Limiter
from roomtape.audio.mixing.mixer import Mixer
from roomtape.recording.writing import disk_writer
from roomtape.storage.live import LiveWav
from roomtape.storage.ring import Ring
from roomtape.types import RecordingEvent
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import FileError
from support.damage import names_in
from support.readers import read_all
from support.scripted_recording import until
from support.signals import noise

RATE = 48000
START, FINISH, ERROR = (
    AudioRecordingCode.START,
    AudioRecordingCode.FINISH,
    AudioRecordingCode.ERROR,
)
STAGES = {
    "the mix": (Mixer, "mix"),
    "the limiter": (Limiter, "process"),
    "the encoder": (PcmEncoder, "encode"),
    "the end of the encoder": (PcmEncoder, "finish"),
    "the end of the limiter": (Limiter, "flush"),
}


def threads() -> set[str]:
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if name.startswith("roomtape") and "work" not in name}


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize("cycle_time", [0, 10])
@pytest.mark.parametrize("stage", STAGES)
async def test_a_defect_in_mixing_ends_the_recording_where_it_happened(
    stage: str, cycle_time: int, tmp_path: Path
):
    """And so it does if stop() comes in the very same step."""
    owner, name = STAGES[stage]
    working, said = getattr(owner, name), noise(1, 4.0)
    at_the_end = name in ("finish", "flush")
    for at_once in (False, True):
        path, clock, events = tmp_path / f"{at_once}.wav", ScriptedClock(), list[RecordingEvent]()
        failing = False

        def fails(self, *args, **kwargs):
            if failing:  # noqa: B023
                raise ZeroDivisionError("a defect")
            return working(self, *args, **kwargs)

        with patch.object(owner, name, fails):
            recorder = AudioRecorder(
                AudioRecordingConfiguration(
                    path, sample_rate=RATE, cycle_time=cycle_time, report=True
                ),
                clock=clock,
                on_event=events.append,
            )
            await recorder.start()
            recorder.add_source("alice").push(said, RATE, 0)
            await clock.advance(2.5)
            failing = True
            if at_once:
                recorder._run.pump.tick(clock.now_ns())
            elif not at_the_end:
                await clock.advance(1)
                assert recorder.over
            with pytest.raises(FileError, match="ZeroDivisionError"):
                await recorder.stop()
        assert [event.code for event in events] == [START, ERROR]
        report = recorder.report
        assert report is not None
        assert "ZeroDivisionError" in report.error
        pcm, _ = read_all(path)
        assert np.array_equal(pcm, said[: len(pcm)])  # nothing stands early, nothing is cut out
        assert len(pcm) > 1.5 * RATE
        assert report.duration_s == len(pcm) / RATE
        assert report.bytes_written == path.stat().st_size
        assert report.unwritten_s > 0
        assert json.loads(Path(f"{path}.json").read_text())["error"] == report.error  # noqa: ASYNC240
        assert names_in(tmp_path) >= {path.name, f"{path.name}.json"}


@pytest.mark.realtime
@pytest.mark.parametrize("cycle_time", [0, 10])
async def test_when_finishing_raises_everything_is_closed(cycle_time: int, tmp_path: Path):
    before = threads()
    events: list[RecordingEvent] = []
    recorder = AudioRecorder(
        AudioRecordingConfiguration(tmp_path / "a.aac", cycle_time=cycle_time, report=True),
        on_event=events.append,
    )
    await recorder.start()
    await asyncio.sleep(0.5)
    with (
        patch.object(AacEncoder, "finish", side_effect=MemoryError("no more")),
        pytest.raises(FileError, match="MemoryError"),
    ):
        await recorder.stop()
    assert [event.code for event in events] == [START, ERROR]
    await until(lambda: threads() <= before)
    # Nobody holds its lock: it can be recorded to, moved and recovered.
    async with AudioRecorder(AudioRecordingConfiguration(tmp_path / "a.aac")):
        pass
    assert len(names_in(tmp_path)) == 3


@pytest.mark.realtime
@pytest.mark.parametrize(("sink", "cycle_time"), [(LiveWav, 0), (Ring, 10)])
@pytest.mark.parametrize("call", ["write", "sync", "finish"])
async def test_a_defect_in_a_file_is_an_error_with_everything_closed(
    sink: type, cycle_time: int, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(disk_writer, "SYNC_NS", 0)
    before = threads()
    events: list[RecordingEvent] = []
    with patch.object(sink, call, side_effect=KeyError("a defect")):
        recorder = AudioRecorder(
            AudioRecordingConfiguration(tmp_path / "a.wav", cycle_time=cycle_time, report=True),
            on_event=events.append,
        )
        await recorder.start()
        if call == "finish":
            await asyncio.sleep(0.3)
        else:
            await until(lambda: recorder.over)
        with pytest.raises(FileError, match="internal error: KeyError"):
            await recorder.stop()
    assert [event.code for event in events] == [START, ERROR]
    assert recorder.report is not None
    await until(lambda: threads() <= before)
    there = next(each for each in names_in(tmp_path) if not each.endswith(".json"))
    assert recorder.report.file_path == str(tmp_path / there)
    assert (tmp_path / f"{there}.json").exists()
    if call == "sync":  # what was written before is there, and told
        assert recorder.report.bytes_written == (tmp_path / there).stat().st_size


async def test_a_report_that_cannot_be_summed_up_for_one_is_there_for_the_others(tmp_path: Path):
    clock = ScriptedClock()
    recorder = AudioRecorder(
        AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=RATE), clock=clock
    )
    await recorder.start()
    alice, bob = recorder.add_source("alice"), recorder.add_source("bob")
    for source in (alice, bob):
        source.push(noise(1, 1.0) // 4, RATE, 0)
    await clock.advance(1.5)
    bob._track.ledger = None
    report = await recorder.stop()
    assert [each.name for each in report.sources] == ["alice", "bob"]
    assert report.sources[0].received_s == 1.0
    assert report.sources[1].error
