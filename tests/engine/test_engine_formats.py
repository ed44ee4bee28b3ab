"""What the contract says of formats, rates and qualities, with foreign readers as judges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecordingConfiguration, AudioRecordingQuality, ErrorCode
from roomtape.types import SAMPLE_RATES_HZ
from support.readers import read_all, read_ffmpeg, read_libsndfile, read_sox, run
from support.scripted_call import FINISH, START, joined_call
from support.signals import noise, offset_of, speech

pytestmark = pytest.mark.slow

AAC_FRAME = 1024


@pytest.mark.parametrize("name", ["a.wav", "a.WAV", "a.Wav", "a.aac", "a.AAC", "b.wav.aac"])
async def test_the_suffix_in_any_case_chooses_the_format(tmp_path: Path, name: str):
    async with joined_call() as call:
        assert await call.engine.start_audio_recording(str(tmp_path / name)) is ErrorCode.OK
        await call.clock.advance(1)
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
        assert call.engine.last_recording_report is not None
        assert call.engine.last_recording_report.format == name.rpartition(".")[2].lower()
    head = (tmp_path / name).read_bytes()[:4]
    assert head == b"RIFF" if name.lower().endswith(".wav") else head[:2] == b"\xff\xf1"


@pytest.mark.parametrize("rate", SAMPLE_RATES_HZ)
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_every_rate_in_both_formats_holds_the_voice_where_it_spoke(
    tmp_path: Path, suffix: str, rate: int
):
    path = tmp_path / f"call.{suffix}"
    async with joined_call() as call:
        assert await call.engine.start_audio_recording(str(path), rate) is ErrorCode.OK
        await call.clock.advance(1.25)
        call.room.speak("bob", speech("bob", 3.0), 48000)
        await call.clock.advance(4.25)
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
        report = call.engine.last_recording_report
    pcm, read_rate = read_all(path)
    assert read_rate == rate
    exact = round(5.5 * rate)
    padding = AAC_FRAME if suffix == "aac" else 1
    assert exact <= len(pcm) < exact + padding
    offset_s, likeness = offset_of(speech("bob", 3.0, rate), pcm, rate)
    assert likeness > (0.999 if suffix == "wav" else 0.95)
    assert abs(offset_s - 1.25) <= 1 / rate
    assert report is not None
    assert report.sample_rate == rate
    assert report.duration_s == len(pcm) / rate
    assert report.bytes_written == path.stat().st_size


async def test_the_default_is_32_khz_medium_quality_everybody_live(tmp_path: Path):
    async with joined_call() as call:
        assert await call.engine.start_audio_recording(str(tmp_path / "a.wav")) is ErrorCode.OK
        await call.clock.advance(1)
        assert (tmp_path / "a.wav").exists()
    assert read_all(tmp_path / "a.wav")[1] == 32000
    defaults = AudioRecordingConfiguration("a.aac")
    assert (defaults.sample_rate, defaults.quality) == (32000, AudioRecordingQuality.MEDIUM)
    assert (defaults.position, defaults.cycle_time) == (0, 0)


async def test_a_48_khz_voice_comes_out_bit_by_bit(tmp_path: Path):
    path, said = tmp_path / "a.wav", speech("alice", 4.0)
    async with joined_call() as call:
        await call.engine.start_audio_recording(str(path), 48000)
        await call.clock.advance(0.5)
        call.room.speak("bob", said, 48000)
        await call.clock.advance(5)
    pcm, _ = read_all(path)
    assert len(pcm) == 264000
    assert np.array_equal(pcm[24000 : 24000 + len(said)], said)
    assert not pcm[:24000].any()
    assert not pcm[24000 + len(said) :].any()


async def test_higher_quality_takes_more_bytes_and_wav_ignores_it(tmp_path: Path):
    sizes = {}
    for suffix in ("aac", "wav"):
        for quality in AudioRecordingQuality:
            path = tmp_path / f"{quality.name}.{suffix}"
            async with joined_call() as call:
                assert (
                    await call.engine.start_audio_recording(str(path), 32000, quality)
                    is ErrorCode.OK
                )
                call.room.speak("bob", speech("bob", 5.0), 48000)
                await call.clock.advance(5)
            sizes[suffix, quality.name] = path.stat().st_size
    assert sizes["aac", "LOW"] < sizes["aac", "MEDIUM"] < sizes["aac", "HIGH"]
    assert sizes["wav", "LOW"] == sizes["wav", "MEDIUM"] == sizes["wav", "HIGH"]


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("rate", SAMPLE_RATES_HZ)
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_silent_or_empty_room_gives_a_silent_file_of_the_right_length(
    tmp_path: Path, suffix: str, rate: int, alone: bool
):
    path = tmp_path / f"silent.{suffix}"
    async with joined_call() as call:
        if alone:
            call.room.exit("bob")
        assert await call.engine.start_audio_recording(str(path), rate) is ErrorCode.OK
        await call.clock.advance(2.5)
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
        assert call.ear.codes == [START, FINISH]
    pcm, read_rate = read_all(path)
    assert read_rate == rate
    assert round(2.5 * rate) <= len(pcm) < round(2.5 * rate) + (AAC_FRAME if suffix == "aac" else 1)
    assert not pcm.any()


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_recording_that_is_stopped_at_once_is_a_valid_file(tmp_path: Path, suffix: str):
    path = tmp_path / f"short.{suffix}"
    async with joined_call() as call:
        await call.engine.start_audio_recording(str(path))
        await call.clock.advance(0.01)
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
    pcm, _ = read_all(path)
    assert 320 <= len(pcm) <= AAC_FRAME


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_other_programs_can_open_a_live_recording_at_any_moment(tmp_path: Path, suffix: str):
    path, said = tmp_path / f"live.{suffix}", noise(3, 30.0)
    readers = [read_ffmpeg, read_sox, read_libsndfile] if suffix == "wav" else [read_ffmpeg]
    async with joined_call() as call:
        await call.engine.start_audio_recording(str(path), 48000)
        call.room.speak("bob", said, 48000)
        clock_s = 0.0
        for step_s in (0.3, 0.7, 1.0, 9.0, 12.1):
            await call.clock.advance(step_s)
            clock_s += step_s
            if suffix == "aac" and clock_s < 0.8:
                continue  # no frame is complete yet: there is nothing that a reader could find
            for reader in readers:
                pcm, rate = reader(path)
                assert rate == 48000
                assert clock_s - 1.0 <= len(pcm) / 48000 <= clock_s, (reader.__name__, clock_s)
                if suffix == "wav":
                    assert np.array_equal(pcm, said[: len(pcm)])


async def test_every_program_says_the_same_length_of_a_finished_wav(tmp_path: Path):
    path = tmp_path / "a.wav"
    async with joined_call() as call:
        await call.engine.start_audio_recording(str(path), 16000)
        await call.clock.advance(3.2)
    assert run("sox", "--info", "-s", str(path)).strip() == b"51200"
    shown = run("mediainfo", "--Output=Audio;%Duration%|%Format%|%SamplingRate%", str(path))
    assert shown.split() == [b"3200|PCM|16000"]
