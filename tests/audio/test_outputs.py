"""One session, several outputs: each has what it takes, and every timeline is read once."""

from __future__ import annotations

import numpy as np
import pytest

from roomtape.audio.aac import AacEncoder
from roomtape.audio.encoder import PcmEncoder
from roomtape.audio.mixing import mixer
from roomtape.audio.outputs import everybody
from roomtape.audio.session import RecordingSession
from roomtape.audio.timing.fast_path import add_all
from roomtape.audio.timing.timeline import Timeline
from roomtape.types import NS_PER_S, AudioRecordingQuality
from support.scripted import decoded_aac, pcm_of, snr_between
from support.signals import noise

RATE = 48000
STEP = RATE // 50
SECONDS = 6


def names(*wanted: str):
    return lambda source: source.name in wanted


def local(source) -> bool:
    return source.local


def remote(source) -> bool:
    return not source.local


def play(session: RecordingSession, outputs, voices, *, rate_hz: int = RATE):
    """Push each voice in frames of 20 ms, drop a few of bob's; give the units of each output."""
    tracks = {name: session.add_source(name, local=name == "me", joined_ns=0) for name in voices}
    units = [[] for _ in outputs]
    step = rate_hz // 50
    for tick in range(SECONDS * 5):
        for frame in range(tick * 10, tick * 10 + 10):
            at = frame * step
            for name, voice in voices.items():
                if tracks[name] is not None and not (name == "bob" and frame % 37 == 5):
                    tracks[name].push(
                        voice[at : at + step], rate_hz, at, frame * NS_PER_S // 50, False
                    )
        session.mix((tick + 1) * NS_PER_S // 5)
        for output, got in zip(outputs, units, strict=True):
            got.extend(output.encode())
    session.finish(SECONDS * NS_PER_S)
    for output, got in zip(outputs, units, strict=True):
        got.extend(output.finish())
    return [b"".join(each) for each in units]


def voices_of(rate_hz: int = RATE) -> dict[str, np.ndarray]:
    return {
        name: noise(number, SECONDS, rate_hz) // 4
        for number, name in enumerate(("me", "bob", "carol"))
    }


def holed(voice: np.ndarray, step: int = STEP) -> np.ndarray:
    voice = voice.copy()
    for frame in range(5, len(voice) // step, 37):
        voice[frame * step : (frame + 1) * step] = 0
    return voice


def test_three_outputs_at_once_each_get_what_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[tuple[int, int]] = []
    working = Timeline.add_to

    def add_to(self, total, stop):
        reads.append((id(self), stop))
        working(self, total, stop)

    def add_all_of(paths, total, stop):
        left = add_all(paths, total, stop)
        reads.extend((id(path), stop) for at, path in enumerate(paths) if at not in left)
        return left

    monkeypatch.setattr(Timeline, "add_to", add_to)
    monkeypatch.setattr(mixer, "add_all", add_all_of)
    session = RecordingSession()
    mix = session.add_output(PcmEncoder(RATE), rate_hz=RATE)
    sides = session.add_output(PcmEncoder(RATE, channels=2), rate_hz=RATE, channels=(local, remote))
    stem = session.add_output(PcmEncoder(RATE), rate_hz=RATE, channels=(names("bob"),))
    voices = voices_of()
    whole, both, bob = play(session, [mix, sides, stem], voices)
    said = {**voices, "bob": holed(voices["bob"])}
    assert np.array_equal(pcm_of(whole), said["me"] + said["bob"] + said["carol"])
    stereo = pcm_of(both).reshape(-1, 2)
    assert np.array_equal(stereo[:, 0], said["me"])
    assert np.array_equal(stereo[:, 1], said["bob"] + said["carol"])
    assert np.array_equal(pcm_of(bob), said["bob"])
    assert len(reads) == len(set(reads)), "a timeline was read twice"
    assert {output.mixed_samples for output in (mix, sides, stem)} == {SECONDS * RATE}


def test_another_output_changes_no_bit_of_the_first() -> None:
    def alone_and_beside(rate_hz: int) -> tuple[bytes, bytes]:
        results = []
        for others in (False, True):
            session = RecordingSession()
            outputs = [session.add_output(PcmEncoder(rate_hz), rate_hz=rate_hz)]
            if others:
                for rate in (16000, 44100):
                    outputs.append(session.add_output(PcmEncoder(rate), rate_hz=rate))
            results.append(play(session, outputs, voices_of())[0])
        return results[0], results[1]

    for rate_hz in (RATE, 32000):
        alone, beside = alone_and_beside(rate_hz)
        assert alone == beside


@pytest.mark.parametrize("rate_hz", [16000, 32000, 44100, 48000])
@pytest.mark.parametrize("source_rate_hz", [8000, 48000])
def test_outputs_of_several_rates_agree_with_what_each_would_be_alone(
    rate_hz: int, source_rate_hz: int
) -> None:
    alone_session = RecordingSession()
    alone_output = alone_session.add_output(PcmEncoder(rate_hz), rate_hz=rate_hz)
    voices = voices_of(source_rate_hz)
    (alone,) = play(alone_session, [alone_output], voices, rate_hz=source_rate_hz)
    session = RecordingSession()
    wanted = ((source_rate_hz, names("bob")), (rate_hz, everybody), (22050, local))
    outputs = [
        session.add_output(PcmEncoder(rate), rate_hz=rate, channels=(takes,))
        for rate, takes in wanted
    ]
    bob, beside, _ = play(session, outputs, voices, rate_hz=source_rate_hz)
    # Resampled apart and then summed: the same but for the last bit.
    difference = pcm_of(alone).astype(int) - pcm_of(beside)
    assert np.abs(difference).max() <= 1
    assert np.array_equal(pcm_of(bob), holed(voices["bob"], source_rate_hz // 50))


def test_stems_sum_to_the_mix() -> None:
    session = RecordingSession()
    mix = session.add_output(PcmEncoder(32000), rate_hz=32000)
    stems = [
        session.add_output(PcmEncoder(32000), rate_hz=32000, channels=(names(name),))
        for name in ("me", "bob", "carol")
    ]
    whole, *parts = play(session, [mix, *stems], voices_of())
    total = sum(pcm_of(part).astype(int) for part in parts)
    assert np.abs(total - pcm_of(whole)).max() <= 2  # each was rounded


def test_two_channels_of_aac_are_apart() -> None:
    session = RecordingSession()
    encoder = AacEncoder(RATE, AudioRecordingQuality.HIGH, channels=2)
    output = session.add_output(encoder, rate_hz=RATE, channels=(local, remote))
    voices = voices_of()
    (data,) = play(session, [output], {"me": voices["me"], "bob": np.zeros_like(voices["bob"])})
    left, right = decoded_aac(data, every_channel=True)
    level = 20 * np.log10(np.abs(right).max() + 1e-12)
    assert level < -60
    assert snr_between(voices["me"][4800:-4800] / 32768, left[4800 : len(voices["me"]) - 4800]) > 6


def test_who_is_in_no_output_is_not_in_the_recording() -> None:
    session = RecordingSession()
    session.add_output(PcmEncoder(RATE), rate_hz=RATE, channels=(local,))
    assert session.add_source("bob", local=False, joined_ns=0) is None
    assert session.add_source("me", local=True, joined_ns=0) is not None
    assert [source.name for source in session.sources] == ["me"]
