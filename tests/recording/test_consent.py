"""Who is recorded only once it agreed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roomtape import (
    AudioRecordingConfiguration,
    ChannelEventCallback,
    ConfigurationError,
    Consent,
    ErrorCode,
    PushedAudio,
    RtcEngine,
)
from roomtape.rooms import MemoryRoom
from roomtape.types.clock import ScriptedClock
from support.discreet_room import PUBLIC, RATE, SECRET, Room, holds_secret
from support.readers import read_all


async def test_nobody_but_the_local_side_is_heard_before_it_agreed(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav", consent="required", stems=tmp_path / "stems")
    room.recorder.agree("alice", by="a form")
    await room.recorder.start()
    for name in ("alice", "bob", "bob (2)", "carol"):
        room.join(name)
    room.sources["me"] = room.recorder.add_source("me", local=True)
    out = {"bob": SECRET, "bob (2)": SECRET, "carol": SECRET}
    await room.go_on(10, **out)
    room.recorder.agree("bob", by="bob")
    room.recorder.agree("bob")
    await room.go_on(10, **out)  # until nothing of before can come any more
    await room.go_on(10, carol=SECRET)
    room.recorder.withdraw("bob", by="bob")
    room.recorder.withdraw("bob", by="bob")
    await room.go_on(10, **out)
    pcm, report = await room.stop()
    assert np.all(pcm[: 2 * RATE] == 2 * PUBLIC)
    assert np.all(pcm[2 * RATE : 3 * RATE] == 4 * PUBLIC)
    assert np.all(pcm[3 * RATE :] == 2 * PUBLIC)
    assert not any(holds_secret(read_all(Path(stem))[0]) for stem in report.stems)
    assert report.consent == "required"
    assert [(act.kind.value, act.at_s, act.who, act.by) for act in report.acts] == [
        ("agreed", 0.0, "alice", "a form"),
        ("agreed", 1.0, "bob", "bob"),
        ("withdrawn", 3.0, "bob", "bob"),
    ]
    assert "SILENT_AUDIO" not in room.warnings


async def test_who_withdraws_is_kept_out_whether_consent_is_required_or_not(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav")
    await room.recorder.start()
    room.join("bob")
    await room.go_on(10)
    room.recorder.withdraw("bob")
    await room.go_on(10, bob=SECRET)
    room.recorder.exclude("bob")
    room.recorder.agree("bob")
    await room.go_on(20, bob=SECRET)
    room.recorder.include("bob")
    await room.go_on(10, bob=SECRET)
    await room.go_on(10)
    pcm, report = await room.stop()
    assert not holds_secret(pcm)
    assert np.all(pcm[:RATE] == PUBLIC)
    assert np.all(pcm[-RATE:] == PUBLIC)
    assert report.consent == "not_asked"


async def test_who_changes_its_mind_all_the_time_costs_nobody_elses_acts(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav", consent="required")
    room.recorder.agree("alice", by="a form")
    await room.recorder.start()
    for _ in range(800):
        room.recorder.agree("mallory", by="mallory")
        room.recorder.withdraw("mallory", by="mallory")
    room.recorder.exclude("bob")
    _, report = await room.stop()
    assert len(report.acts) == 1000
    assert report.acts[0].who == "alice"
    assert [act.who for act in report.acts[-2:]] == ["mallory", "bob"]


def test_a_consent_that_is_none_is_refused(tmp_path: Path) -> None:
    for wrong in ("yes", None, 1):
        with pytest.raises(ConfigurationError, match=r"consent is .* one of not_asked, required"):
            AudioRecordingConfiguration(tmp_path / "a.wav", consent=wrong).validate()  # type: ignore[arg-type]


async def test_a_room_asks_and_what_is_answered_counts_for_one_stay(tmp_path: Path) -> None:
    clock = ScriptedClock()
    room = MemoryRoom(clock)
    heard: list[tuple[str, bool]] = []

    class Ear(ChannelEventCallback):
        def on_user_consent(self, uid: str, agrees: bool) -> None:
            heard.append((uid, agrees))

    async def say(value: int, seconds: int = 1) -> None:
        room.speak("bob", np.full(seconds * RATE, value, np.int16), RATE)
        await clock.advance(seconds)

    async with RtcEngine(room, clock=clock) as engine:
        engine.set_event_callback(Ear())
        assert await engine.agree_participant("bob") is ErrorCode.ROOM_NOT_JOINED
        assert await engine.set_local_consent(True) is ErrorCode.ROOM_NOT_JOINED
        await engine.set_local_audio(PushedAudio())
        await engine.join_channel(None, "standup", "me")
        assert await engine.set_local_consent(True) is ErrorCode.OK
        assert room.local_agrees is True
        room.enter("bob")
        config = AudioRecordingConfiguration(
            tmp_path / "a.wav", sample_rate=RATE, consent=Consent.REQUIRED
        )
        assert await engine.start_audio_recording_with_config(config) is ErrorCode.OK
        assert room.asks
        await say(SECRET)
        room.agree("bob")
        await say(SECRET)
        await say(PUBLIC)
        room.agree("bob", agrees=False)
        await say(SECRET)
        room.agree("bob")
        await say(SECRET)
        await say(PUBLIC)
        room.exit("bob")
        room.enter("bob")  # it may be somebody else
        await say(SECRET, 2)
        assert await engine.agree_participant("bob", by="on the phone") is ErrorCode.OK
        await say(SECRET)
        await say(PUBLIC)
        assert await engine.withdraw_participant("bob") is ErrorCode.OK
        assert await engine.withdraw_participant(None) is ErrorCode.INVALID_PARAM  # type: ignore[arg-type]
        await say(SECRET)
        room.agree("bob")
        assert await engine.start_audio_recording(str(tmp_path / "b.wav"), RATE) is ErrorCode.OK
        assert not room.asks
        report = engine.last_recording_report
        assert report is not None
        assert await engine.stop_audio_recording() is ErrorCode.OK
        assert not room.asks
    pcm, _ = read_all(tmp_path / "a.wav")
    assert not holds_secret(pcm)
    assert np.count_nonzero(pcm == PUBLIC) > 2.9 * RATE
    assert heard == [("bob", True), ("bob", False), ("bob", True), ("bob", True)]
    assert [(act.kind.value, act.by) for act in report.acts] == [
        ("agreed", "bob"),
        ("withdrawn", "bob"),
        ("agreed", "bob"),
        ("agreed", "on the phone"),
        ("withdrawn", ""),
        ("agreed", "bob"),
    ]


async def test_what_was_said_before_the_recording_began_counts(tmp_path: Path) -> None:
    clock = ScriptedClock()
    room = MemoryRoom(clock)
    async with RtcEngine(room, clock=clock) as engine:
        room.enter("alice")
        room.enter("bob")
        await engine.join_channel(None, "standup", "me")
        room.agree("alice")
        config = AudioRecordingConfiguration(
            tmp_path / "a.wav", sample_rate=RATE, consent="required"
        )
        await engine.start_audio_recording_with_config(config)
        room.speak("alice", np.full(RATE, PUBLIC, np.int16), RATE)
        room.speak("bob", np.full(RATE, SECRET, np.int16), RATE)
        await clock.advance(2)
        await engine.stop_audio_recording()
    pcm, _ = read_all(tmp_path / "a.wav")
    assert not holds_secret(pcm)
    assert np.count_nonzero(pcm == PUBLIC) > 0.9 * RATE
