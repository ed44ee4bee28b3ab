"""Twilio's messages, as a call sends them, on a scripted clock."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from roomtape import AudioRecorder, AudioRecordingConfiguration, g711
from roomtape.integrations.twilio import TwilioCall
from roomtape.types import IntervalKind, Pcm, SourceReport
from roomtape.types.clock import ScriptedClock
from support.readers import read_all
from support.scripted import shifts_of, spans
from support.signals import noise, speech

RATE = 8000
FRAME = 160


def payload(pcm: Pcm) -> str:
    return base64.b64encode(g711(pcm)).decode()


@dataclass
class Session:
    """One call: Twilio's end of it, and ours."""

    recorder: AudioRecorder
    clock: ScriptedClock
    call: TwilioCall
    start_s: float = 0.0
    said: dict[str, list[tuple[float, Pcm]]] = field(default_factory=dict)
    number: int = 0

    @property
    def now_s(self) -> float:
        return self.clock.now_ns() / 1e9

    def receive(self, event: str, **content: Any) -> str:
        self.number += 1
        message = {"event": event, "sequenceNumber": str(self.number), "streamSid": "MZ1"}
        return self.call.received(json.dumps({**message, **content}))

    def start(self, tracks: list[str]) -> None:
        self.start_s = self.now_s
        self.receive("connected", protocol="Call", version="1.0.0")
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start = {
            "accountSid": "AC1",
            "streamSid": "MZ1",
            "callSid": "CA1",
            "tracks": tracks,
            "mediaFormat": form,
            "customParameters": {},
        }
        assert self.receive("start", start=start) == "start"

    def media(self, track: str, pcm: Pcm, at_s: float) -> None:
        """20 ms that were heard at ``at_s``; Twilio rounds to milliseconds."""
        stamp = str(round((at_s - self.start_s) * 1000))
        media = {"track": track, "chunk": "1", "timestamp": stamp, "payload": payload(pcm)}
        assert self.receive("media", media=media) == "media"

    def say(self, pcm: Pcm) -> None:
        """The bot: all at once."""
        for low in range(0, len(pcm), 1600):
            media = {"payload": payload(pcm[low : low + 1600])}
            message = json.dumps({"event": "media", "streamSid": "MZ1", "media": media})
            assert self.call.sent(message) is message
        self.call.sent({"event": "mark", "streamSid": "MZ1", "mark": {"name": "said"}})

    async def until(self, at_s: float) -> None:
        await self.clock.advance(max(0.0, at_s - self.now_s))

    def report(self, name: str) -> SourceReport:
        assert self.recorder.report is not None
        return next(each for each in self.recorder.report.sources if each.name == name)


@asynccontextmanager
async def session(path: Path) -> AsyncIterator[Session]:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(path, sample_rate=16000)
    async with AudioRecorder(config, clock=clock) as recorder:
        await clock.advance(0.731)
        yield Session(recorder, clock, TwilioCall(recorder))


def words(pcm: Pcm, at_s: float) -> list[tuple[float, Pcm]]:
    """Half a second each, at the rate of the recording, where somebody speaks."""
    found = []
    decoded = g711(g711(pcm))
    for low in range(0, len(pcm) - 4000, 4000):
        word = decoded[low : low + 4000]
        if np.abs(word).max() > 2000:
            loud = np.rint(soxr.resample(word.astype(float), RATE, 16000)).astype(np.int16)
            found.append((at_s + low / RATE, loud))
    assert len(found) > 2
    return found


async def hear(here: Session, said: dict[str, Pcm], *, loss: float = 0.0, seed: int = 1) -> None:
    """Everybody at once, from now on: frames on their way for 40 to 90 ms."""
    rng = np.random.default_rng(seed)
    begun_s = here.now_s
    for low in range(0, max(map(len, said.values())), FRAME):
        at_s = begun_s + low / RATE
        await here.until(at_s + 0.06 + rng.uniform(0, 0.05))
        for track, pcm in said.items():
            if low < len(pcm) and rng.random() >= loss:
                here.media(track, pcm[low : low + FRAME], at_s)


@pytest.mark.parametrize("loss", [0.0, 0.1])
async def test_the_caller_is_heard_word_by_word(tmp_path: Path, loss: float):
    said = speech("alice", 12.0, RATE)
    async with session(tmp_path / "a.wav") as here:
        here.start(["inbound"])
        begun_s = here.now_s
        await hear(here, {"inbound": said}, loss=loss)
        assert here.receive("stop", stop={"callSid": "CA1"}) == "stop"
        await here.clock.advance(1)
    pcm, rate_hz = read_all(tmp_path / "a.wav")
    shifts = shifts_of(words(said, begun_s), pcm, rate_hz, slack_s=0.12)
    # All on one clock, and as late as the quickest frame was: 20 ms of speech and 40 of network.
    heard = shifts[np.isfinite(shifts)]
    assert len(heard) > 0.8 * len(shifts)
    assert np.abs(heard - np.median(heard)).max() < 0.02
    assert 0.05 < np.median(heard) < 0.09
    report = here.report("caller")
    assert report.lost_s == pytest.approx(12 * loss, abs=0.2 * 12 * loss + 0.001)
    assert report.late_s == 0
    assert here.call.left_out == 0


async def test_what_the_bot_sends_is_recorded_as_it_is_played(tmp_path: Path):
    first, second = speech("dave", 6.0, RATE), speech("bob", 3.0, RATE)
    async with session(tmp_path / "a.wav") as here:
        here.start(["inbound"])
        await here.until(2.0)
        here.say(first)
        await here.until(5.25)  # the caller interrupts
        here.call.sent({"event": "clear", "streamSid": "MZ1"})
        here.receive("mark", mark={"name": "said"})
        await here.until(6.1)
        here.say(second)
        await here.until(9.5)
        here.receive("mark", mark={"name": "said"})
        await here.until(10.0)
    pcm, rate_hz = read_all(tmp_path / "a.wav")
    heard = words(first[: round(3.25 * RATE)], 2.0) + words(second, 6.1)
    assert np.abs(shifts_of(heard, pcm, rate_hz)).max() < 0.005
    assert not pcm[round(5.26 * rate_hz) : round(6.09 * rate_hz)].any()
    assert list(here.call.marks) == [("said", 5.25), ("said", 9.5)]
    report = here.report("bot")
    assert report.local
    assert report.received_s == pytest.approx(3.25 + 3.0, abs=0.01)
    assert report.left_out_s == pytest.approx(2.75, abs=0.01)


async def test_both_tracks_of_a_stream_that_only_listens(tmp_path: Path):
    said = {"inbound": speech("alice", 6.0, RATE), "outbound": speech("dave", 6.0, RATE)}
    async with session(tmp_path / "a.wav") as here:
        here.start(["inbound", "outbound"])
        begun_s = here.now_s
        await hear(here, said)
        here.say(noise(1, 1.0, RATE))  # such a stream plays nothing
        await here.clock.advance(1)
    pcm, rate_hz = read_all(tmp_path / "a.wav")
    for each in said.values():
        shifts = shifts_of(words(each, begun_s), pcm, rate_hz, slack_s=0.12)
        assert np.isfinite(shifts).mean() > 0.6  # the others speak, too
        near = shifts[np.isfinite(shifts)]
        assert np.abs(near - np.median(near)).max() < 0.02
    assert [here.report(name).local for name in ("caller", "bot")] == [False, True]


async def test_the_end_of_the_call_is_the_end_of_the_bot(tmp_path: Path):
    async with session(tmp_path / "a.wav") as here:
        here.start(["inbound"])
        here.say(noise(1, 20.0, RATE))
        await here.until(2.0)
        here.receive("stop", stop={})
        here.call.close()
        await here.until(6.0)
    pcm, rate_hz = read_all(tmp_path / "a.wav")
    assert not pcm[round(2.01 * rate_hz) :].any()
    for name in ("caller", "bot"):
        assert here.report(name).left_s == pytest.approx(2.0, abs=0.01)
    assert not spans(here.report("bot"), IntervalKind.STALLED)


ODD: list[Any] = [
    "no JSON",
    b"\xff\xfe",
    "[]",
    "7",
    "[" * 100_000,
    {},
    {"event": None},
    {"event": "media"},
    {"event": "media", "media": None},
    {"event": "media", "media": {"track": "sideways", "timestamp": "1", "payload": ""}},
    {"event": "media", "media": {"track": "inbound", "timestamp": "soon", "payload": "//8="}},
    {"event": "media", "media": {"track": "inbound", "timestamp": "9" * 99, "payload": "//8="}},
    {"event": "media", "media": {"track": "inbound", "timestamp": "1", "payload": "?"}},
    {"event": "media", "media": {"track": "inbound", "timestamp": "1", "payload": 7}},
    {"event": "media", "media": {"track": "inbound", "timestamp": "1", "payload": "A" * 2**21}},
    {"event": "mark"},
    {"event": "start"},
    {"event": "start", "start": {"mediaFormat": {"encoding": "audio/l16"}}},
    {
        "event": "start",
        "start": {"mediaFormat": {"encoding": "audio/l16", "sampleRate": 16000, "channels": 1}},
    },
]


async def test_messages_that_are_none_harm_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    said = speech("alice", 4.0, RATE)
    async with session(tmp_path / "a.wav") as here:
        for each in ODD:
            here.call.received(each)
        here.start(["inbound"])
        for each in ODD:
            here.call.received(each)
            here.call.sent(each)
        begun_s = here.now_s
        await hear(here, {"inbound": said})
        await here.clock.advance(1)
    assert here.call.received({"event": "start", "start": {}}) == ""  # the recording is over
    pcm, rate_hz = read_all(tmp_path / "a.wav")
    shifts = shifts_of(words(said, begun_s), pcm, rate_hz, slack_s=0.12)
    assert np.isfinite(shifts).all()
    assert here.call.left_out > 2 * len(ODD) - 6
    assert len(caplog.records) == 1
    assert "is left out, and so may others be" in caplog.text
