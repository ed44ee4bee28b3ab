"""What is undone, closed or ended twice, or from two places, harms nobody."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from roomtape import AudioRecorder, AudioRecordingCode, AudioRecordingConfiguration
from roomtape.storage.disk import Disk
from roomtape.storage.sink import SinkFormat
from roomtape.storage.sinks import create_sink
from roomtape.types import AudioFormat, RecordingEvent
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import OpenFileError, RoomtapeError, StateError
from support.damage import names_in
from support.faulty_disk import HangingDisk
from support.readers import read_all
from support.signals import noise

KINDS = pytest.mark.parametrize(
    ("suffix", "cycle_time"), [("wav", 0), ("aac", 0), ("wav", 10), ("aac", 10)]
)


def new_recorder(path: Path, cycle_time: int = 0, **options: object) -> AudioRecorder:
    return AudioRecorder(AudioRecordingConfiguration(path, cycle_time=cycle_time), **options)


def new_sink(path: Path, cycle_s: int):
    audio_format = AudioFormat(path.suffix[1:])
    wav = audio_format is AudioFormat.WAV
    sink_format = SinkFormat(
        audio_format=audio_format,
        rate_hz=16000,
        unit_samples=1600 if wav else 1024,
        most_unit_bytes=3200 if wav else 775,
        cycle_s=cycle_s,
        started_at=ScriptedClock().utc(),
    )
    return create_sink(path, sink_format, Disk())


@KINDS
@pytest.mark.parametrize("placed", [False, True])
async def test_a_second_discard_does_not_close_somebody_elses_descriptor(
    suffix: str, cycle_time: int, placed: bool, tmp_path: Path
):
    recorder = new_recorder(tmp_path / f"a.{suffix}", cycle_time)
    await recorder.prepare(take_name=placed)
    await recorder.discard()
    theirs = [os.open(tmp_path, os.O_RDONLY) for _ in range(20)]
    await recorder.discard()
    await asyncio.gather(recorder.discard(), recorder.discard())
    for fd in theirs:
        os.fstat(fd)
        os.close(fd)
    assert names_in(tmp_path) == set()


@pytest.mark.realtime
@KINDS
async def test_a_second_discard_does_not_remove_what_another_recorder_made(
    suffix: str, cycle_time: int, tmp_path: Path
):
    path = tmp_path / f"a.{suffix}"
    first, second = new_recorder(path, cycle_time), new_recorder(path, cycle_time)
    await first.prepare()
    await first.discard()
    await second.prepare()  # gets the very names that the first one had
    reserved = names_in(tmp_path)
    await first.discard()
    assert names_in(tmp_path) == reserved
    await second.begin()
    await first.discard()
    await asyncio.sleep(0.3)
    report = await second.stop()
    await second.discard()
    assert report.error == ""
    assert names_in(tmp_path) == {path.name}


@KINDS
def test_every_end_of_a_sink_can_come_twice_and_after_any_other(
    suffix: str, cycle_time: int, tmp_path: Path
):
    ends = ("finish", "abandon", "discard", "let_go")
    for number, first in enumerate(ends):
        for second in ends[1:]:
            directory = tmp_path / f"{number}-{second}"
            directory.mkdir()
            sink = new_sink(directory / f"a.{suffix}", cycle_time)
            sink.place()
            if first != "discard":
                sink.write([bytes(3200 if suffix == "wav" else 300)])
            getattr(sink, first)()
            fd = os.open(directory, os.O_RDONLY)
            before = names_in(directory)
            getattr(sink, second)()
            os.fstat(fd)
            os.close(fd)
            assert names_in(directory) == before, (first, second)


@KINDS
async def test_what_was_discarded_cannot_begin_and_what_has_begun_is_not_discarded(
    suffix: str, cycle_time: int, tmp_path: Path
):
    recorder = new_recorder(tmp_path / f"a.{suffix}", cycle_time, clock=ScriptedClock())
    await recorder.prepare()
    await recorder.discard()
    with pytest.raises(StateError):
        await recorder.begin()
    with pytest.raises(StateError, match="make a new one"):
        await recorder.prepare()
    running = new_recorder(tmp_path / f"b.{suffix}", cycle_time, clock=ScriptedClock())
    await running.start()
    await running.discard()
    assert running.recording
    assert (await running.stop()).error == ""


@pytest.mark.realtime
async def test_of_two_that_begin_at_once_one_does(tmp_path: Path):
    events: list[RecordingEvent] = []
    recorder = new_recorder(tmp_path / "a.wav", on_event=events.append)
    await recorder.prepare()
    outcomes = await asyncio.gather(*(recorder.begin() for _ in range(3)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == [
        "NoneType",
        "StateError",
        "StateError",
    ]
    assert recorder.recording
    await recorder.stop()
    codes = [event.code for event in events]
    assert codes == [AudioRecordingCode.START, AudioRecordingCode.FINISH]


@pytest.mark.realtime
async def test_a_discard_while_it_begins_calls_the_start_off(tmp_path: Path):
    disk, path = HangingDisk("rename_new"), tmp_path / "a.wav"
    path.write_bytes(b"older")
    recorder = new_recorder(path, disk=disk)
    await recorder.prepare()
    disk.hang()
    beginning = asyncio.create_task(recorder.begin())
    await asyncio.to_thread(disk.waiting.wait, 10)
    discarding = asyncio.create_task(recorder.discard())
    await asyncio.sleep(0.05)
    disk.release()
    with pytest.raises(OpenFileError, match="called off"):
        await beginning
    await discarding
    assert names_in(tmp_path) == {"a.wav"}
    assert path.read_bytes() == b"older"


@pytest.mark.realtime
@pytest.mark.parametrize("seed", range(6))
async def test_starts_that_are_cancelled_at_random_harm_no_recording_that_runs(
    seed: int, tmp_path: Path
):
    dice = random.Random(seed)
    events: list[RecordingEvent] = []
    path = tmp_path / "kept.wav"
    async with new_recorder(path, on_event=events.append) as kept:
        alice = kept.add_source("alice")
        said = noise(seed, 1.0, 16000)
        alice.push(said, 16000, 0)
        for number in range(40):
            name = dice.choice(["kept.wav", "x.wav", "x.aac"])
            directory = tmp_path / "others"
            directory.mkdir(exist_ok=True)
            other = new_recorder(directory / name, dice.choice([0, 10]))
            starting = asyncio.create_task(other.start())
            for _ in range(dice.randrange(8)):
                await asyncio.sleep(dice.choice([0, 0, 0.001]))
            starting.cancel()
            discarding = asyncio.create_task(other.discard())
            results = await asyncio.gather(starting, discarding, return_exceptions=True)
            assert all(
                each is None or isinstance(each, asyncio.CancelledError | RoomtapeError)
                for each in results
            ), (number, results)
            if other.recording:
                await other.stop()
        assert kept.recording
    assert [event.code for event in events] == [
        AudioRecordingCode.START,
        AudioRecordingCode.FINISH,
    ]
    assert kept.report is not None
    pcm, rate_hz = read_all(path)
    assert len(pcm) / rate_hz == pytest.approx(kept.report.duration_s)
    assert not [each for each in names_in(tmp_path / "others") if each.endswith((".part", ".ring"))]
