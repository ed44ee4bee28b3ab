"""What is published is what RECORDING records."""

from __future__ import annotations

import asyncio
import fractions
from pathlib import Path

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError

from roomtape import (
    AudioFrame,
    AudioRecordingConfiguration,
    AudioRecordingPosition,
    ErrorCode,
    FileAudio,
    LocalAudio,
    PushedAudio,
    TrackAudio,
)
from roomtape.media.voices import voice_path
from roomtape.types import IntervalKind, Pcm
from roomtape.types.errors import DamagedFileError, FileError
from support.damage import write_wav
from support.readers import read_all
from support.scripted_call import ScriptedCall, joined_call
from support.signals import noise, offset_of, speech

MINE = AudioRecordingPosition.RECORDING


class SpokenTrack(MediaStreamTrack):
    """An aiortc track that says ``pcm`` at the pace of a call's clock, and ends."""

    kind = "audio"

    def __init__(self, call: ScriptedCall, pcm: Pcm, rate: int, form: str = "s16") -> None:
        super().__init__()
        self._call, self._rate, self._form = call, rate, form
        self._pcm = pcm if pcm.ndim == 2 else pcm[:, None]
        self._at = 0
        self._start_ns: int | None = None

    async def recv(self) -> av.AudioFrame:
        clock = self._call.clock
        if self._start_ns is None:
            self._start_ns = clock.now_ns()
        await clock.sleep_until(self._start_ns + self._at * 1_000_000_000 // self._rate)
        if self._at >= len(self._pcm):
            raise MediaStreamError
        piece = self._pcm[self._at : self._at + self._rate // 50]
        layout = "mono" if piece.shape[1] == 1 else "stereo"
        if self._form == "fltp":
            planes = np.ascontiguousarray(piece.T, np.float32) / 32768
        else:
            planes = np.ascontiguousarray(piece.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(planes, format=self._form, layout=layout)
        frame.sample_rate, frame.time_base = self._rate, fractions.Fraction(1, self._rate)
        frame.pts = self._at
        self._at += len(piece)
        return frame


async def record_mine(
    call: ScriptedCall, audio: LocalAudio | MediaStreamTrack, path: Path, seconds: float
) -> Pcm:
    """Start to record, then to publish, so that the first sample is in the recording."""
    assert (
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(path, sample_rate=48000, position=MINE)
        )
        is ErrorCode.OK
    )
    assert await call.engine.set_local_audio(audio) is ErrorCode.OK
    await call.clock.advance(seconds)
    assert await call.engine.stop_audio_recording() is ErrorCode.OK
    pcm, _ = read_all(path)
    assert len(pcm) == round(seconds * 48000)
    return pcm


def published(audio: LocalAudio) -> list[AudioFrame]:
    """Every frame that goes out to the room from now on."""
    frames: list[AudioFrame] = []
    audio.subscribe(frames.append)
    return frames


async def test_a_file_is_published_and_recorded_bit_by_bit(tmp_path: Path):
    audio = FileAudio(voice_path("dave"))
    frames = published(audio)
    async with joined_call() as call:
        pcm = await record_mine(call, audio, tmp_path / "a.wav", 10)
    said = speech("dave")
    assert np.array_equal(pcm[: len(said)], said)
    assert not pcm[len(said) :].any()
    sent = np.concatenate([frame.pcm for frame in frames])
    assert np.array_equal(sent[: len(pcm)], pcm)
    assert audio.ended
    assert call.room.muted, "the others are told that nothing more comes"


async def test_a_file_of_another_format_is_published_as_48_khz_mono(tmp_path: Path):
    stereo = np.repeat(speech("dave", 2.0, 16000)[:, None], 2, axis=1)
    audio = FileAudio(write_wav(tmp_path / "stereo.wav", stereo, 16000))
    async with joined_call() as call:
        pcm = await record_mine(call, audio, tmp_path / "a.wav", 3)
    offset_s, likeness = offset_of(speech("dave", 2.0), pcm, 48000)
    assert abs(offset_s) < 0.001
    assert likeness > 0.95


async def test_a_looped_file_begins_anew(tmp_path: Path):
    said = noise(1, 1.0)
    audio = FileAudio(write_wav(tmp_path / "short.wav", said), loop=True)
    async with joined_call() as call:
        pcm = await record_mine(call, audio, tmp_path / "a.wav", 3)
    assert np.array_equal(pcm, np.tile(said, 3))
    assert not audio.ended


def test_a_file_that_is_no_audio_is_one_clear_error(tmp_path: Path):
    text = tmp_path / "text.wav"
    text.write_text("no audio at all")
    (tmp_path / "empty.wav").touch()
    for name, kind in (("text.wav", DamagedFileError), ("empty.wav", DamagedFileError)):
        with pytest.raises(kind, match=name):
            FileAudio(tmp_path / name)
    with pytest.raises(FileError, match="no such file"):
        FileAudio(tmp_path / "missing.wav")


async def test_what_a_bot_pushes_is_said_in_order_and_can_be_taken_back(tmp_path: Path):
    mouth = PushedAudio()
    first, second, third = (noise(seed, 1.0) for seed in (1, 2, 3))
    async with joined_call() as call:
        mouth.push(first)
        mouth.push(np.repeat(second[:, None], 2, axis=1))
        mouth.push(third)
        assert mouth.queued_s == 3.0
        recording = asyncio.create_task(record_mine(call, mouth, tmp_path / "a.wav", 2.5))
        while call.clock.now_ns() < 2_000_000_000:  # noqa: ASYNC110
            await asyncio.sleep(0)
        mouth.clear()
        pcm = await recording
    assert np.array_equal(pcm[:48000], first)
    assert np.array_equal(pcm[48000:96000], second)
    assert not pcm[96960:].any()


async def test_pushing_too_much_or_the_wrong_thing_is_refused():
    mouth = PushedAudio(max_queued_s=1.0)
    with pytest.raises(ValueError, match="complex128"):
        mouth.push(np.zeros(10, complex))
    with pytest.raises(ValueError, match="sample_rate"):
        mouth.push(noise(1, 0.1), 0)
    mouth.push(noise(1, 0.9))
    with pytest.raises(ValueError, match="wait already"):
        mouth.push(noise(1, 0.2))


@pytest.mark.parametrize("form", ["s16", "fltp"])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
async def test_an_aiortc_track_is_published_and_recorded_bit_by_bit(
    tmp_path: Path, channels: int, wrapped: bool, form: str
):
    said = noise(4, 2.0)
    shaped = said if channels == 1 else np.repeat(said[:, None], 2, axis=1)
    async with joined_call() as call:
        track = SpokenTrack(call, shaped, 48000, form)
        audio = TrackAudio(track) if wrapped else track
        pcm = await record_mine(call, audio, tmp_path / "a.wav", 3)
    assert np.array_equal(pcm[: len(said)], said)
    assert not pcm[len(said) :].any()


@pytest.mark.parametrize("rate", [8000, 44100])
async def test_a_track_of_another_rate_is_converted(tmp_path: Path, rate: int):
    async with joined_call() as call:
        track = SpokenTrack(call, speech("alice", 3.0, rate), rate)
        pcm = await record_mine(call, track, tmp_path / "a.wav", 4)
    offset_s, likeness = offset_of(speech("alice", 3.0), pcm, 48000)
    assert 0 <= offset_s < 0.03
    assert likeness > 0.9


async def test_a_track_that_changes_its_format_or_fails_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    class Odd(MediaStreamTrack):
        kind = "audio"

        def __init__(self, parts: list[MediaStreamTrack]) -> None:
            super().__init__()
            self._parts = parts

        async def recv(self) -> av.AudioFrame:
            while self._parts:
                try:
                    return await self._parts[0].recv()
                except MediaStreamError:
                    self._parts.pop(0)
            raise RuntimeError("the sound card was pulled out")

    async with joined_call() as call:
        mono, stereo = noise(1, 1.0), np.repeat(noise(2, 1.0)[:, None], 2, axis=1)
        track = Odd([SpokenTrack(call, mono, 48000), SpokenTrack(call, stereo, 48000, "fltp")])
        pcm = await record_mine(call, track, tmp_path / "a.wav", 3)
        assert await call.engine.leave_channel() is ErrorCode.OK
    assert np.array_equal(pcm[:96000], np.concatenate([mono, stereo[:, 0]]))
    assert "the sound card was pulled out" in caplog.text


async def test_what_is_no_audio_cannot_be_published():
    async with joined_call() as call:
        for wrong in (VideoStreamTrack(), "dave.wav", 7):
            assert (
                await call.engine.set_local_audio(wrong)  # type: ignore[arg-type]
                is ErrorCode.INVALID_PARAM
            )
    with pytest.raises(ValueError, match="video"):
        TrackAudio(VideoStreamTrack())


async def test_muted_audio_is_recorded_as_silence_and_the_others_are_told(tmp_path: Path):
    audio = FileAudio(voice_path("dave"), loop=True)
    frames = published(audio)
    async with joined_call() as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=48000, position=MINE)
        )
        await call.engine.set_local_audio(audio)
        await call.clock.advance(1)
        assert await call.engine.mute_local_audio(True) is ErrorCode.OK
        assert call.room.muted
        await call.clock.advance(1)
        assert await call.engine.mute_local_audio(False) is ErrorCode.OK
        assert not call.room.muted
        await call.clock.advance(1)
        await call.engine.stop_audio_recording()
        report = call.engine.last_recording_report
    pcm, _ = read_all(tmp_path / "a.wav")
    sent = np.concatenate([frame.pcm for frame in frames])
    assert np.array_equal(pcm, sent[: len(pcm)])
    said, border = speech("dave"), 960
    assert not pcm[48000 + border : 96000].any()
    # Muting takes a pause: the file goes on where it was.
    heard = pcm[96000 + border : 144000]
    assert np.array_equal(heard, said[48000 + border : 96000])
    assert report is not None
    muted = [each for each in report.sources[0].intervals if each.kind is IntervalKind.MUTED]
    assert [(each.start_s, each.end_s) for each in muted] == [(1.0, 2.0)]
    assert report.sources[0].lost_s == 0


async def test_without_local_audio_there_is_nothing_to_mute():
    async with joined_call() as call:
        assert await call.engine.mute_local_audio(True) is ErrorCode.INVALID_STATE
