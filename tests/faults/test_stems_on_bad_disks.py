"""Stems on disks that fail and hang: they do to one recording what they do to one file."""

from __future__ import annotations

import asyncio
import errno
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.storage.recover import recover
from roomtape.types import AudioRecordingCode, AudioRecordingWarning, RecordingEvent
from roomtape.types.errors import DamagedFileError
from support.faulty_disk import Fault, FaultyDisk, HangingDisk
from support.lag import Lag
from support.readers import read_all, read_libsndfile
from support.scripted_recording import listing, record_scripted, until
from support.signals import noise

RATE_HZ = 16000
START, ERROR, FINISH = (
    AudioRecordingCode.START,
    AudioRecordingCode.ERROR,
    AudioRecordingCode.FINISH,
)


@pytest.mark.slow
@pytest.mark.parametrize("lasting", ["once", "kind", "all"])
async def test_any_call_may_fail_and_the_mix_suffers_no_more_than_alone(
    lasting: str, ram_path: Path
):
    counting = FaultyDisk()
    config = {"sample_rate": RATE_HZ, "seconds": 2.4}
    (ram_path / "whole").mkdir()
    whole_path = ram_path / "whole" / "call.wav"
    await record_scripted(whole_path, disk=counting, stems=ram_path / "whole" / "stems", **config)
    whole, _ = read_all(whole_path)
    ended: dict[str, int] = {}
    for at in range(len(counting.calls)):
        directory = ram_path / str(at)
        directory.mkdir()
        path, stems = directory / "call.wav", directory / "stems"
        disk = FaultyDisk(Fault(at, errno.EIO, lasting))
        outcome = await record_scripted(path, disk=disk, stems=stems, **config)
        told = f"{lasting} at call {at}, {disk.hit}: {outcome}"
        if outcome.refused:
            assert not outcome.codes, told
            # On a disk that never lets go of a name, nothing can be taken back.
            assert lasting != "once" or not listing(directory), told
        else:
            assert outcome.codes in ([START, FINISH], [START, ERROR]), told
            assert outcome.report is not None
            pcm, _ = read_libsndfile(path)
            assert np.array_equal(pcm, whole[: len(pcm)]), told
            if outcome.codes[-1] is FINISH:
                assert len(pcm) == len(whole), told
            for each in outcome.report.stems:
                stem, _ = read_libsndfile(each)
                assert np.array_equal(stem, whole[: len(stem)]), told
                failed = AudioRecordingWarning.STEM_FAILED in outcome.warnings
                if outcome.codes[-1] is FINISH and not failed:
                    assert len(stem) == len(whole), told
        name = "refused" if outcome.refused else outcome.codes[-1].name
        failed = AudioRecordingWarning.STEM_FAILED in outcome.warnings
        name += ", without its stem" if failed else ""
        ended[name] = ended.get(name, 0) + 1
    print(f"{len(counting.calls)} calls: {ended}")  # noqa: T201
    assert {"refused", "ERROR", "FINISH, without its stem"} <= set(ended) or lasting == "all"


@pytest.mark.slow
@pytest.mark.parametrize("lasting", ["once", "kind", "all"])
async def test_any_call_may_fail_of_a_cyclic_recording(lasting: str, ram_path: Path):
    counting = FaultyDisk()
    config = {"sample_rate": RATE_HZ, "seconds": 2.4, "cycle_time": 10}
    (ram_path / "whole").mkdir()
    whole_path = ram_path / "whole" / "call.wav"
    await record_scripted(whole_path, disk=counting, stems=ram_path / "whole" / "stems", **config)
    whole, _ = read_all(whole_path)
    ended: dict[str, int] = {}
    for at in range(len(counting.calls)):
        directory = ram_path / str(at)
        directory.mkdir()
        path, stems = directory / "call.wav", directory / "stems"
        disk = FaultyDisk(Fault(at, errno.EIO, lasting))
        outcome = await record_scripted(path, disk=disk, stems=stems, **config)
        told = f"{lasting} at call {at}, {disk.hit}: {outcome}"
        if outcome.refused:
            assert not outcome.codes, told
            assert lasting != "once" or not listing(directory), told
            continue
        assert outcome.codes in ([START, FINISH], [START, ERROR]), told
        assert outcome.report is not None
        failed = AudioRecordingWarning.STEM_FAILED in outcome.warnings
        named = [Path(each) for each in (outcome.report.file_path, *outcome.report.stems)]
        for file in recovered(named, directory):
            pcm, _ = read_all(file)
            said = np.trim_zeros(pcm, "b")  # a stem that ends early is filled with silence
            assert np.array_equal(said, whole[: len(said)]), told
            if outcome.codes[-1] is FINISH and not failed:
                assert len(said) == len(np.trim_zeros(whole, "b")), told
        name = outcome.codes[-1].name + (", without its stem" if failed else "")
        ended[name] = ended.get(name, 0) + 1
    print(f"{len(counting.calls)} calls: {ended}")  # noqa: T201
    assert {"ERROR", "FINISH, without its stem"} <= set(ended) or lasting == "all"


def recovered(named: list[Path], directory: Path) -> list[Path]:
    """What a report names, finished where it is a ring; with the mix, its stems are."""
    files: list[Path] = []
    for number, path in enumerate(named):
        if path.suffix != ".ring":
            files.append(path)
        elif path.exists():
            with suppress(DamagedFileError):  # nothing had been written
                files.append(recover(path, directory / f"recovered-{number}.wav").path)
        elif path.with_suffix("").exists():
            files.append(path.with_suffix(""))
    return files


@pytest.mark.realtime
async def test_a_disk_that_hangs_for_seconds_costs_no_stem_a_sample(tmp_path: Path, lag: Lag):
    disk, events = HangingDisk("write", "fsync"), list[RecordingEvent]()
    recorder = AudioRecorder(
        AudioRecordingConfiguration(
            tmp_path / "call.wav", sample_rate=48000, stems=tmp_path / "stems"
        ),
        on_event=events.append,
        disk=disk,
    )
    await recorder.start()
    voices = [noise(seed, 8) // 8 for seed in range(6)]
    sources = [recorder.add_playout(str(number)) for number in range(len(voices))]
    for source, voice in zip(sources, voices, strict=True):
        source.push(voice, 48000)
    await asyncio.sleep(2)
    disk.hang()
    await until(lambda: any(e.code is AudioRecordingWarning.SLOW_DISK for e in events))
    disk.release()
    await asyncio.sleep(1)
    report = await recorder.stop()
    assert not report.error
    assert report.unwritten_s == 0
    mix, _ = read_all(tmp_path / "call.wav")
    stems = [read_all(each)[0] for each in report.stems]
    assert len(stems) == len(voices)
    assert {len(stem) for stem in stems} == {len(mix)}
    assert np.array_equal(np.sum(stems, axis=0), mix)
    assert all(source.lost_s <= lag.late_s for source in report.sources)
    assert len(listing(tmp_path / "stems")) == len(voices) + 2
