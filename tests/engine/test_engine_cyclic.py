"""Cyclic recordings keep the last seconds, exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioFrame, AudioRecordingConfiguration, AudioRecordingCycleTime, ErrorCode
from roomtape.types import Pcm
from support.damage import names_in
from support.readers import read_all, read_ffmpeg
from support.scripted_call import FINISH, START, ScriptedCall, joined_call
from support.signals import noise

pytestmark = pytest.mark.slow

RATE = 16000
AAC_FRAME = 1024
_FRAME_S = 0.1


async def say(call: ScriptedCall, pcm: Pcm) -> None:
    """bob speaks, and the clock goes with it (in longer frames than a room's, to be quick)."""
    size = round(_FRAME_S * RATE)
    for start in range(0, len(pcm), size):
        piece = pcm[start : start + size]
        call.room.send("bob", AudioFrame(piece, RATE, start))
        await call.clock.advance(len(piece) / RATE)


def lag_of(piece: Pcm, within: Pcm) -> int:
    """Where ``piece`` begins in ``within``."""
    size = 1 << (len(piece) + len(within)).bit_length()
    product = np.fft.rfft(within, size) * np.conj(np.fft.rfft(piece, size))
    return int(np.argmax(np.fft.irfft(product, size)[: len(within)]))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_twenty_minutes_with_900_give_exactly_minutes_5_to_20(tmp_path: Path, suffix: str):
    said, path = noise(1, 1200.0, RATE), tmp_path / f"last15.{suffix}"
    config = AudioRecordingConfiguration(
        path, sample_rate=RATE, cycle_time=AudioRecordingCycleTime.SECONDS_900
    )
    async with joined_call() as call:
        assert await call.engine.start_audio_recording_with_config(config) is ErrorCode.OK
        await say(call, said)
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
        report = call.engine.last_recording_report
    assert report is not None
    begin = 300 * RATE
    if suffix == "wav":
        pcm, _ = read_all(path)
        assert len(pcm) == 900 * RATE
        assert np.array_equal(pcm, said[begin:])
        assert report.skipped_s == 300.0
    else:
        pcm, _ = read_ffmpeg(path)
        assert 0 <= len(pcm) - 900 * RATE < 2 * AAC_FRAME
        lead = round(300 * RATE - report.skipped_s * RATE)
        assert 0 <= lead < AAC_FRAME
        for at_s in (0.0, 450.0, 898.0):
            at = begin + round(at_s * RATE)
            around = pcm[lead + at - begin - min(lead, 500) :][: 2 * RATE]
            assert lag_of(said[at : at + RATE], around) == min(lead, 500)
    assert report.started_at.timestamp() == pytest.approx(1767225600 + report.skipped_s, abs=1e-5)
    assert names_in(tmp_path) == {path.name}


@pytest.mark.parametrize("cycle_time", [10, 60, 360])
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_each_cycle_time_keeps_the_last_so_many_seconds(
    tmp_path: Path, suffix: str, cycle_time: int
):
    seconds = cycle_time + 7.3
    said, path = noise(2, seconds, RATE), tmp_path / f"last.{suffix}"
    async with joined_call() as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(path, sample_rate=RATE, cycle_time=cycle_time)
        )
        await say(call, said)
        await call.engine.stop_audio_recording()
        report = call.engine.last_recording_report
    pcm, _ = read_ffmpeg(path)
    assert report is not None
    begin = round(report.skipped_s * RATE)
    if suffix == "wav":
        assert np.array_equal(pcm, said[-cycle_time * RATE :])
        assert len(pcm) == len(said) - begin
    else:
        assert abs(begin - (len(said) - cycle_time * RATE)) < AAC_FRAME
        assert 0 <= begin + len(pcm) - len(said) < AAC_FRAME
        assert lag_of(said[begin + RATE : begin + 2 * RATE], pcm[: 3 * RATE]) == RATE


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_what_is_shorter_than_the_cycle_is_kept_whole(tmp_path: Path, suffix: str):
    said, path = noise(3, 4.7, RATE), tmp_path / f"short.{suffix}"
    async with joined_call() as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(path, sample_rate=RATE, cycle_time=10)
        )
        await say(call, said)
        await call.engine.stop_audio_recording()
        report = call.engine.last_recording_report
    pcm, _ = read_ffmpeg(path)
    assert report is not None
    assert report.skipped_s == 0
    if suffix == "wav":
        assert np.array_equal(pcm, said)
    else:
        assert 0 <= len(pcm) - len(said) < AAC_FRAME
        assert lag_of(said[RATE : 2 * RATE], pcm) == RATE


@pytest.mark.parametrize("older", [False, True])
async def test_nothing_changes_at_the_path_until_it_stops(tmp_path: Path, older: bool):
    path = tmp_path / "last.wav"
    if older:
        path.write_bytes(b"older")
    async with joined_call() as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(path, cycle_time=10)
        )
        await call.clock.advance(30)
        assert path.exists() is older
        assert not older or path.read_bytes() == b"older"
        await call.engine.stop_audio_recording()
        assert call.ear.recording == [(START, str(path)), (FINISH, str(path))]
    assert len(read_all(path)[0]) == 320000
    aside = tmp_path / "last.1.wav"
    assert aside.exists() is older
    assert not older or aside.read_bytes() == b"older"
    assert len(names_in(tmp_path)) == 1 + older


async def test_a_silent_room_gives_the_silence_of_the_cycle(tmp_path: Path):
    async with joined_call() as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(tmp_path / "last.wav", sample_rate=44100, cycle_time=10)
        )
        await call.clock.advance(12.34)
    pcm, rate = read_all(tmp_path / "last.wav")
    assert (len(pcm), rate) == (441000, 44100)
    assert not pcm.any()


async def test_a_ring_that_a_crash_left_is_told_and_not_touched(tmp_path: Path):
    left = tmp_path / "last.wav.ring"
    left.write_bytes(b"what a crash left")
    async with joined_call() as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(tmp_path / "last.wav", cycle_time=10)
        )
        await call.clock.advance(1)
    assert [code.name for code, _ in call.ear.warnings] == ["UNRECOVERED_RING"]
    assert str(left) in call.ear.warnings[0][1]
    assert left.read_bytes() == b"what a crash left"
    assert names_in(tmp_path) == {"last.wav", "last.wav.ring"}
