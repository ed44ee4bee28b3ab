"""What a bot says in a room: as one stream, and all of it."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest
import soxr

from roomtape import FileAudio, LocalAudio, PushedAudio
from roomtape.media.voices import voice_path
from roomtape.types import AudioFrame, Pcm
from roomtape.types.clock import SYSTEM_CLOCK, ScriptedClock
from support.lag import Lag
from support.signals import noise, tone


class Heard:
    """What local audio gives out."""

    def __init__(self, audio: LocalAudio) -> None:
        self.frames: list[AudioFrame] = []
        audio.subscribe(self.frames.append)

    @property
    def pcm(self) -> Pcm:
        return np.concatenate([each.pcm for each in self.frames])


def snr_db(said: Pcm, heard: Pcm) -> float:
    noise_power = np.square(heard.astype(float) - said).mean()
    return float(10 * np.log10(np.square(said.astype(float)).mean() / noise_power))


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 44100])
@pytest.mark.parametrize("chunk_s", [0.01, 0.02, 0.0333, 0.4])
async def test_chunks_at_another_rate_are_one_stream(rate_hz: int, chunk_s: float):
    clock, mouth = ScriptedClock(), PushedAudio()
    heard = Heard(mouth)
    said, size = tone(700, 4.0, rate_hz), round(chunk_s * rate_hz)
    for low in range(0, len(said), size):
        mouth.push(said[low : low + size], rate_hz)
    mouth.start(clock)
    await clock.advance(5)
    await mouth.stop()
    wanted = tone(700, 4.0, 48000)
    assert snr_db(wanted[4800:-4800], heard.pcm[4800 : len(wanted) - 4800]) > 75
    # All of it, to the end of the last word.
    assert np.abs(heard.pcm[len(wanted) - 480 : len(wanted)]).max() > 10000
    assert not heard.pcm[len(wanted) + 960 :].any()
    assert mouth.queued_s == 0


async def test_speech_that_stops_is_said_to_its_end_and_goes_on_afterwards():
    clock, mouth = ScriptedClock(), PushedAudio()
    heard = Heard(mouth)
    mouth.start(clock)
    words = [noise(seed, 0.3, 24000) for seed in range(3)]
    for word in words:
        mouth.push(word, 24000)
        await clock.advance(0.7)
    mouth.push(noise(9, 0.3))  # and at its own rate
    await clock.advance(1)
    await mouth.stop()
    loud = np.abs(heard.pcm) > 100
    assert loud.sum() > 0.95 * 4 * 0.3 * 48000
    for word in words:
        ideal = soxr.resample(word.astype(np.float32), 24000, 48000)
        likeness = np.correlate(heard.pcm.astype(float), ideal[:4800].astype(float), "valid")
        assert likeness.max() > 0.9 * np.square(ideal[:4800].astype(float)).sum()


async def test_clear_says_how_much_it_was_and_leaves_nothing():
    clock, mouth = ScriptedClock(), PushedAudio()
    heard = Heard(mouth)
    mouth.start(clock)
    mouth.push(noise(1, 5.0, 24000), 24000)
    await clock.advance(1)
    assert mouth.clear() == pytest.approx(4.0, abs=0.05)
    assert mouth.clear() == 0
    await clock.advance(1)
    await mouth.stop()
    assert not heard.pcm[49000:].any()


@pytest.mark.parametrize("form", ["bytes", "floats", "odd bytes"])
async def test_it_takes_what_a_source_takes(form: str):
    clock, mouth = ScriptedClock(), PushedAudio()
    heard, said = Heard(mouth), noise(1, 0.5)
    match form:
        case "bytes":
            mouth.push(said.tobytes())
        case "floats":
            mouth.push(said.astype(np.float32) / 32768, 48000.0)
        case _:
            mouth.push(said.tobytes()[:777], 48000)
            mouth.push(said.tobytes()[777:], 48000)
    mouth.start(clock)
    await clock.advance(1)
    await mouth.stop()
    assert np.array_equal(heard.pcm[: len(said)], said)


async def test_any_thread_may_push_and_clear():
    clock, mouth = ScriptedClock(), PushedAudio()
    heard = Heard(mouth)
    mouth.start(clock)

    def work() -> None:
        for _ in range(200):
            mouth.push(noise(1, 0.02, 24000), 24000)
            mouth.push(noise(1, 0.01))
            mouth.clear()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        await clock.advance(0.02)
    await clock.advance(1)
    await mouth.stop()
    assert mouth.queued_s == 0
    assert not heard.frames[-1].pcm.any()


@pytest.mark.realtime
@pytest.mark.parametrize("turn_s", [0.03, 0.05, 0.2])
async def test_all_that_is_due_is_sent_however_long_the_loops_turns_are(turn_s: float, lag: Lag):
    audio = FileAudio(voice_path("dave"), loop=True)
    heard = Heard(audio)
    over = asyncio.Event()

    async def busy() -> None:
        while not over.is_set():
            time.sleep(turn_s)  # noqa: ASYNC251 (that is the point)
            await asyncio.sleep(0)

    other = asyncio.create_task(busy())
    begun_ns = SYSTEM_CLOCK.now_ns()
    audio.start(SYSTEM_CLOCK)
    await asyncio.sleep(2)
    passed_s = (SYSTEM_CLOCK.now_ns() - begun_ns) / 1e9
    sent_s = len(heard.frames) * 0.02
    over.set()
    await other
    await audio.stop()
    assert abs(sent_s + audio.unsent_s - passed_s) < 2 * turn_s + 0.04 + lag.worst_s
    assert audio.unsent_s <= lag.late_s
    assert [each.pts for each in heard.frames[:50]] == [960 * number for number in range(50)]


async def test_what_was_not_sent_for_long_is_told_and_a_gap(caplog: pytest.LogCaptureFixture):
    class Blocked(ScriptedClock):
        """A loop that wakes nobody for a while."""

        blocked_ns = 0

        async def sleep_until(self, deadline_ns: int) -> None:
            blocked_ns, self.blocked_ns = self.blocked_ns, 0
            await super().sleep_until(deadline_ns + blocked_ns)

    clock, mouth = Blocked(), PushedAudio()
    heard = Heard(mouth)
    said = noise(1, 4.0)
    mouth.push(said)
    mouth.start(clock)
    await clock.advance(1)
    clock.blocked_ns = 10_000_000_000
    await clock.advance(14)
    await mouth.stop()
    assert mouth.unsent_s == pytest.approx(8.0, abs=0.05)
    assert "nothing was sent for 8.0 s" in caplog.text
    assert np.array_equal(heard.pcm[: len(said)], said)  # no word is left out
    jumps = np.diff([each.pts or 0 for each in heard.frames])
    assert sorted({*jumps.tolist()}) == [960, 960 + round(mouth.unsent_s * 48000)]
