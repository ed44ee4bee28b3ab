"""The recorder warning tone: what a room hears of being recorded."""

from __future__ import annotations

import errno
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import (
    AudioRecorder,
    AudioRecordingConfiguration,
    ConfigurationError,
    ErrorCode,
    LocalAudio,
    PushedAudio,
    RtcEngine,
)
from roomtape.media.beeping import BEEP_HZ, BEEP_PEAK, BEEP_S
from roomtape.rooms import LiveKitRoom, MemoryRoom, RtpRoom, WebRtcRoom
from roomtape.server.app import RoomServer
from roomtape.types import AudioFrame, Pcm
from roomtape.types.clock import ScriptedClock
from support.faulty_disk import Fault, FaultyDisk
from support.meeting import Meeting
from support.readers import read_all

RATE = 48000


class Ears(MemoryRoom):
    """A room that remembers what the others hear of the local user."""

    def __init__(self, clock: ScriptedClock) -> None:
        super().__init__(clock)
        self.heard: list[Pcm] = []
        self._forget: Any = lambda: None

    async def publish(self, local_audio: LocalAudio | None) -> None:
        await super().publish(local_audio)
        self._forget()
        if local_audio is not None:
            self._forget = local_audio.subscribe(self._hear)

    def _hear(self, frame: AudioFrame) -> None:
        self.heard.append(frame.pcm)


def beeps(pcm: Pcm, rate_hz: int = RATE) -> list[float]:
    """When each begins, in seconds, by a frame of 20 ms."""
    frames = np.abs(pcm[: len(pcm) // (rate_hz // 50) * (rate_hz // 50)]).reshape(-1, rate_hz // 50)
    loud = frames.max(axis=1) > BEEP_PEAK // 2
    starts = np.flatnonzero(loud & ~np.concatenate([[False], loud[:-1]]))
    return [round(float(each) / 50, 2) for each in starts]


async def joined(tmp_path: Path, **more: Any) -> tuple[RtcEngine, Ears, ScriptedClock]:
    clock = ScriptedClock()
    room = Ears(clock)
    engine = RtcEngine(room, clock=clock, **more)
    await engine.join_channel(None, "standup", "me")
    return engine, room, clock


def config(path: Path, **more: Any) -> AudioRecordingConfiguration:
    return AudioRecordingConfiguration(path, sample_rate=RATE, **more)


async def test_who_publishes_nothing_else_beeps_while_it_records(tmp_path: Path) -> None:
    engine, room, clock = await joined(tmp_path)
    code = await engine.start_audio_recording_with_config(config(tmp_path / "a.wav", beep_s=2))
    assert code is ErrorCode.OK
    assert room.local_audio is not None
    assert not room.local_audio.muted
    await clock.advance(5)
    assert await engine.stop_audio_recording() is ErrorCode.OK
    assert room.local_audio is None
    heard = np.concatenate(room.heard)
    assert beeps(heard) == [0, 2, 4]
    spectrum = np.abs(np.fft.rfft(heard[: round(BEEP_S * RATE)]))
    assert np.argmax(spectrum) == BEEP_HZ * BEEP_S
    pcm, _ = read_all(tmp_path / "a.wav")
    assert beeps(pcm) == pytest.approx([0, 2, 4], abs=0.03)
    report = engine.last_recording_report
    assert report is not None
    assert [(each.name, each.local) for each in report.sources] == [("me", True)]
    assert not report.warnings
    await engine.release()


async def test_it_is_heard_beside_a_voice_and_over_a_mute_and_not_in_a_pause(
    tmp_path: Path,
) -> None:
    engine, room, clock = await joined(tmp_path)
    voice = PushedAudio()
    await engine.set_local_audio(voice)
    voice.push(np.full(RATE, 50, np.int16), RATE)
    await engine.start_audio_recording_with_config(config(tmp_path / "a.wav", beep_s=2))
    await clock.advance(1)
    assert np.abs(np.concatenate(room.heard)[-RATE // 4 :]).max() == 50
    assert await engine.mute_local_audio(True) is ErrorCode.OK
    assert not room.muted
    await clock.advance(2)
    await engine.pause_audio_recording()
    await clock.advance(2.5)
    await engine.resume_audio_recording()
    await clock.advance(1)
    other = PushedAudio()
    await engine.set_local_audio(other)
    assert not room.muted
    other.push(np.full(RATE, 70, np.int16), RATE)
    await clock.advance(2)
    assert beeps(np.concatenate(room.heard)) == pytest.approx([0, 2, 5.5, 7.5], abs=0.05)
    await engine.stop_audio_recording()
    assert room.local_audio is other
    other.push(np.full(RATE, 70, np.int16), RATE)
    room.heard.clear()
    await clock.advance(3)
    assert beeps(np.concatenate(room.heard)) == []
    await engine.release()


async def test_it_ends_with_the_recording_whatever_ends_that(tmp_path: Path) -> None:
    disk = FaultyDisk()
    engine, room, clock = await joined(tmp_path, disk=disk)
    await engine.start_audio_recording_with_config(config(tmp_path / "a.wav", beep_s=1))
    await clock.advance(2)
    disk.fault = Fault(len(disk.calls), errno.ENOSPC, "all")
    await clock.advance(2)
    assert engine.recorder is None
    room.heard.clear()
    await clock.advance(3)
    assert room.local_audio is None
    assert not room.heard
    refused = await engine.start_audio_recording_with_config(config(tmp_path / "b.wav", beep_s=1))
    assert refused is ErrorCode.FATAL
    assert room.local_audio is None
    await engine.release()


async def test_where_nobody_hears_it_there_is_one_line(tmp_path: Path) -> None:
    for room in (
        RtpRoom("127.0.0.1", 0),
        LiveKitRoom("ws://127.0.0.1:1", api_key="k", api_secret="s" * 32, hidden=True),
    ):
        assert not room.can_publish
    async with RtcEngine(RtpRoom("127.0.0.1", 0)) as engine:
        await engine.join_channel(None, "calls", "me")
        path = tmp_path / "a.wav"
        code = await engine.start_audio_recording_with_config(config(path, beep_s=15))
        assert code is ErrorCode.INVALID_PARAM
        assert engine.last_error == "beep_s: the others hear nothing of us in a RtpRoom"
        assert not path.exists()
    with pytest.raises(ConfigurationError, match="only a room hears a beep"):
        AudioRecorder(config(tmp_path / "a.wav", beep_s=15))
    for wrong in (0, 0.5, 3601, "x", True, float("nan")):
        with pytest.raises(ConfigurationError, match="beep_s is"):
            config(tmp_path / "a.wav", beep_s=wrong).validate()


@pytest.mark.network
async def test_it_is_heard_over_webrtc(tmp_path: Path) -> None:
    async with (
        RoomServer("127.0.0.1", 0) as server,
        AsyncExitStack() as stack,
        RtcEngine(WebRtcRoom(server.url)) as engine,
    ):
        alice = await Meeting(server, stack).join("alice")
        assert await engine.join_channel(None, "standup", "bob") is ErrorCode.OK
        await engine.start_audio_recording_with_config(config(tmp_path / "a.wav", beep_s=1))
        await alice.ear.until_heard("bob", 3.0)
        spectrum = np.abs(np.fft.rfft(alice.ear.pcm("bob")))
        heard_hz = np.argmax(spectrum) * RATE / len(alice.ear.pcm("bob"))
        assert heard_hz == pytest.approx(BEEP_HZ, abs=5)
        await engine.stop_audio_recording()
