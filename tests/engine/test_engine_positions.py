"""Whose audio a recording holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roomtape import (
    AudioRecordingConfiguration,
    AudioRecordingPosition,
    ErrorCode,
    PushedAudio,
)
from support.readers import read_all
from support.scripted_call import joined_call
from support.signals import noise

MINE, BOBS, CAROLS = (noise(seed, 2.0, dbfs=-20) for seed in (1, 2, 3))
EVERYBODY = AudioRecordingPosition.MIXED_RECORDING_AND_PLAYBACK
WANTED = {
    EVERYBODY: MINE + BOBS + CAROLS,
    AudioRecordingPosition.RECORDING: MINE,
    AudioRecordingPosition.MIXED_PLAYBACK: BOBS + CAROLS,
}


@pytest.mark.parametrize("cycle_time", [0, 10])
@pytest.mark.parametrize("position", list(AudioRecordingPosition))
async def test_each_position_is_the_exact_sum_of_whom_it_names(
    tmp_path: Path, position: AudioRecordingPosition, cycle_time: int
):
    mouth, path = PushedAudio(), tmp_path / "a.wav"
    config = AudioRecordingConfiguration(
        path, sample_rate=48000, position=position, cycle_time=cycle_time
    )
    async with joined_call(mouth) as call:
        call.room.enter("carol")
        await call.clock.advance(1)
        assert await call.engine.start_audio_recording_with_config(config) is ErrorCode.OK
        await call.clock.advance(1)
        mouth.push(MINE)
        call.room.speak("bob", BOBS, 48000)
        call.room.speak("carol", CAROLS, 48000)
        await call.clock.advance(4)
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
        report = call.engine.last_recording_report
    pcm, _ = read_all(path)
    assert len(pcm) == 5 * 48000
    at = 48000
    wanted = WANTED[position]
    found = int(np.flatnonzero(pcm)[0])
    # The local audio goes out at the next 20 ms border of its own, and the others speak at once.
    assert abs(found - at) <= 960
    if position is EVERYBODY:
        spoken = pcm[at : at + len(BOBS)].astype(int) - BOBS - CAROLS
        mine = int(np.flatnonzero(spoken)[0])
        assert np.array_equal(spoken[mine:], MINE[: len(spoken) - mine])
    else:
        assert np.array_equal(pcm[found : found + len(wanted)], wanted)
        assert not pcm[found + len(wanted) :].any()
    assert report is not None
    names = {source.name: source.local for source in report.sources}
    everybody = {"me": True, "bob": False, "carol": False}
    assert (
        names
        == {
            EVERYBODY: everybody,
            AudioRecordingPosition.RECORDING: {"me": True},
            AudioRecordingPosition.MIXED_PLAYBACK: {"bob": False, "carol": False},
        }[position]
    )


@pytest.mark.parametrize("position", [1, 2])
async def test_who_is_left_out_leaves_a_silent_recording(tmp_path: Path, position: int):
    mouth, path = PushedAudio(), tmp_path / "a.wav"
    async with joined_call(mouth) as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(path, position=position)
        )
        if position == AudioRecordingPosition.RECORDING:
            call.room.speak("bob", BOBS, 48000)
        else:
            mouth.push(MINE)
        await call.clock.advance(2)
    pcm, _ = read_all(path)
    assert len(pcm) == 64000
    assert not pcm.any()


async def test_who_comes_and_goes_during_the_recording_is_in_it_while_present(tmp_path: Path):
    path = tmp_path / "a.wav"
    async with joined_call() as call:
        await call.engine.start_audio_recording(str(path), 48000)
        await call.clock.advance(1)
        call.room.enter("carol")
        call.room.speak("carol", CAROLS, 48000)
        await call.clock.advance(2)
        call.room.exit("carol")
        await call.clock.advance(1)
        call.room.enter("carol")
        call.room.speak("carol", CAROLS, 48000)
        await call.clock.advance(2)
        await call.engine.stop_audio_recording()
        report = call.engine.last_recording_report
    pcm, _ = read_all(path)
    assert np.array_equal(pcm[48000 : 3 * 48000], CAROLS)
    assert not pcm[3 * 48000 : 4 * 48000].any()
    assert np.array_equal(pcm[4 * 48000 : 6 * 48000], CAROLS)
    assert report is not None
    stays = [(each.joined_s, each.left_s) for each in report.sources if each.name == "carol"]
    assert stays == [(1.0, 3.0), (4.0, 6.0)]
    assert [each.received_s for each in report.sources if each.name == "carol"] == [2.0, 2.0]
    assert call.ear.others[1:4] == [
        ("joined", "carol"),
        ("left", "carol", "left"),
        ("joined", "carol"),
    ]
