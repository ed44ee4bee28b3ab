"""Voices that are kept out, and recordings that are paused."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from roomtape import (
    ActKind,
    AudioRecorder,
    AudioRecordingConfiguration,
    ConfigurationError,
)
from roomtape.audio.discretion.tone import TONE_HZ, TONE_PEAK
from support.discreet_room import PUBLIC, RATE, SECRET, STEP, Room, holds_secret
from support.readers import read_all


async def test_who_is_excluded_is_silence_and_the_others_go_on(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav")
    await room.recorder.start()
    room.join("alice")
    room.join("bob")
    await room.go_on(10, bob=SECRET)
    room.recorder.exclude("bob", by="the supervisor")
    await room.go_on(150, bob=SECRET)
    room.recorder.include("bob")
    await room.go_on(20, bob=1000)
    pcm, report = await room.stop()
    assert np.all(pcm[:RATE] == PUBLIC + SECRET)
    assert np.all(pcm[RATE : 17 * RATE] == PUBLIC)
    assert np.all(pcm[17 * RATE :] == PUBLIC + 1000)
    alice, bob = report.sources
    assert (alice.silenced_s, bob.silenced_s) == (0.0, 16.0)
    for each in report.sources:
        assert each.received_s == each.arrived_s == 18.0
        assert each.lost_s == each.late_s == each.left_out_s == 0
    assert [(act.kind, act.at_s, act.who, act.by) for act in report.acts] == [
        (ActKind.EXCLUDED, 1.0, "bob", "the supervisor"),
        (ActKind.INCLUDED, 16.0, "bob", ""),
    ]
    assert "SILENT_AUDIO" not in room.warnings
    assert "NO_AUDIO" not in room.warnings


async def test_a_pause_is_silence_and_who_is_excluded_stays_out(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav", exclude=["bob"])
    await room.recorder.start()
    room.join("alice")
    await room.go_on(10)
    room.recorder.pause(by="key p")
    room.recorder.pause(by="key p")
    assert room.recorder.paused
    room.join("bob")
    await room.go_on(10, alice=SECRET, bob=SECRET)
    room.recorder.resume()
    room.recorder.resume()
    assert not room.recorder.paused
    await room.go_on(20, bob=SECRET)
    pcm, report = await room.stop()
    assert np.all(pcm[:RATE] == PUBLIC)
    assert not pcm[RATE : 3 * RATE].any()
    assert np.all(pcm[3 * RATE :] == PUBLIC)
    kinds = [(act.kind.value, act.who, act.by) for act in report.acts]
    assert kinds == [
        ("excluded", "bob", "configuration"),
        ("paused", "", "key p"),
        ("resumed", "", ""),
    ]
    assert {each.name: each.silenced_s for each in report.sources} == {"alice": 2.0, "bob": 3.0}


@pytest.mark.parametrize("tone", [True, False])
async def test_a_mask_is_a_tone_or_silence_in_place_of_one_voice(
    tmp_path: Path, tone: bool
) -> None:
    room = Room(tmp_path / "a.wav")
    await room.recorder.start()
    room.join("alice")
    room.join("bob (2)")
    await room.go_on(10)
    room.recorder.mask("bob", tone=tone, by="the agent")
    room.recorder.mask("bob", tone=tone)
    await room.go_on(10, **{"bob (2)": SECRET})
    room.recorder.unmask("bob")
    room.recorder.unmask("bob")
    await room.go_on(20, **{"bob (2)": PUBLIC})
    pcm, report = await room.stop()
    assert np.all(pcm[:RATE] == 2 * PUBLIC)
    masked = pcm[RATE : 3 * RATE].astype(int) - PUBLIC
    assert np.all(pcm[3 * RATE :] == 2 * PUBLIC)
    if tone:
        spectrum = np.abs(np.fft.rfft(masked))
        assert np.argmax(spectrum) == 2 * TONE_HZ
        assert np.sum(spectrum > spectrum.max() / 1000) == 1  # without a click
        assert abs(masked).max() == TONE_PEAK
    else:
        assert not masked.any()
    assert [(act.kind, act.at_s, act.who, act.by) for act in report.acts] == [
        (ActKind.MASKED, 1.0, "bob", "the agent"),
        (ActKind.UNMASKED, 2.0, "bob", ""),
    ]
    assert [each.silenced_s for each in report.sources] == [0.0, 2.0]


async def test_who_is_excluded_is_no_tone_and_a_bot_can_be_masked(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav")
    room.recorder.mask("bob")
    await room.recorder.start()
    room.join("bob")
    room.recorder.exclude("bob")
    await room.go_on(10, bob=SECRET)
    bot = room.recorder.add_playout("bot", local=True)
    bot.push(np.full(2 * RATE, SECRET, np.int16), RATE)
    room.recorder.mask("bot")
    await room.go_on(20, bob=SECRET)
    room.recorder.include("bob")
    await room.go_on(10, bob=SECRET)
    pcm, report = await room.stop()
    assert abs(pcm).max() <= 2 * TONE_PEAK
    assert not pcm[: RATE - RATE // 10].any()  # a resampler rings ahead of itself
    assert pcm[RATE : 3 * RATE].any()
    assert pcm[3 * RATE :].any()
    assert [act.at_s for act in report.acts] == [0.0, 0.0, 1.0, 3.0]


async def test_every_track_of_somebody_is_kept_out_and_no_other_name(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav", exclude=["bob"])
    await room.recorder.start()
    names = ["bob", "bob (2)", "bob (12)", "bob (x)", "bobby", "Bob", "bob (2) ("]
    for name in names:
        room.join(name)
    await room.go_on(10)
    _, report = await room.stop()
    silenced = {each.name for each in report.sources if each.silenced_s}
    assert silenced == {"bob", "bob (2)", "bob (12)"}


async def test_what_a_bot_was_still_to_say_is_not_heard(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav")
    await room.recorder.start()
    bot = room.recorder.add_playout("bot", local=True)
    bot.push(np.full(5 * RATE, SECRET, np.int16), RATE)
    await room.clock.advance(1.0)
    room.recorder.exclude("bot")
    assert bot.pending_s == pytest.approx(4.0, abs=0.001)  # the others hear it all the same
    bot.push(np.full(RATE, SECRET, np.int16), RATE)
    await room.clock.advance(6.0)
    pcm, _ = await room.stop()
    assert np.all(pcm[: RATE - 1] == SECRET)
    assert not holds_secret(pcm[RATE + 1 :])


async def test_a_cyclic_recording_tells_what_was_so_before_it(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav", cycle_time=10)
    await room.recorder.start()
    room.join("bob")
    room.recorder.exclude("bob")
    await room.go_on(200, bob=SECRET)
    pcm, report = await room.stop()
    assert not pcm.any()
    assert [(act.kind, act.at_s) for act in report.acts] == [(ActKind.EXCLUDED, -10.0)]


@pytest.mark.parametrize("captured", [True, False])
@pytest.mark.parametrize("late_s", [0.1, 0.3, 0.4])
async def test_what_was_said_before_and_comes_late_is_not_heard(
    tmp_path: Path, late_s: float, captured: bool
) -> None:
    room = Room(tmp_path / "a.wav")
    await room.recorder.start()
    bob = room.recorder.add_source("bob")
    for tenth in range(60):
        at_s = tenth / 10
        if tenth == 10:
            room.recorder.exclude("bob")
        elif tenth == 20:
            room.recorder.include("bob")
        said_s = at_s - late_s
        if said_s >= 0:
            value = SECRET if 1.0 <= said_s + 0.05 < 2.0 else PUBLIC
            when = {"captured_ns": round(said_s * 1e9)} if captured else {"pts": tenth * STEP}
            bob.push(np.full(STEP, value, np.int16), RATE, **when)
        await room.clock.advance(0.1)
    pcm, report = await room.stop()
    assert not holds_secret(pcm)
    assert np.any(pcm[-RATE // 2 :] == PUBLIC)
    assert report.sources[0].silenced_s == pytest.approx(2.0, abs=0.11)


async def test_what_was_refused_is_not_counted(tmp_path: Path) -> None:
    room = Room(tmp_path / "a.wav", exclude=["bot", "x" * 300])
    await room.recorder.start()
    room.join("x" * 300)
    bot = room.recorder.add_playout("bot", max_queued_s=1)
    for _ in range(5):
        with suppress(ValueError):
            bot.push(np.full(RATE, SECRET, np.int16), RATE)
    await room.go_on(20, **{"x" * 300: SECRET})
    pcm, report = await room.stop()
    assert not holds_secret(pcm)
    assert {each.silenced_s for each in report.sources} == {1.0, 2.0}


def test_names_that_are_none_are_refused(tmp_path: Path) -> None:
    recorder = AudioRecorder(AudioRecordingConfiguration(tmp_path / "a.wav"))
    with pytest.raises(ValueError, match="by is a text"):
        recorder.exclude("bob", by="x" * 201)
    for wrong in (None, 7):
        with pytest.raises(ValueError, match="a name is a text"):
            recorder.exclude(wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="a name is a text"):
            recorder.mask(wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="exclude is"):
            AudioRecordingConfiguration(tmp_path / "a.wav", exclude=[wrong]).validate()  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="exclude is 'bob'"):
        AudioRecordingConfiguration(tmp_path / "a.wav", exclude="bob").validate()


async def test_a_push_on_another_thread_is_in_before_or_not_at_all(tmp_path: Path) -> None:
    async with AudioRecorder(
        AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=RATE)
    ) as recorder:
        bob = recorder.add_source("bob")
        value, going = 1, True

        def speak() -> None:
            while going:
                bob.push(np.full(160, value, np.int16), RATE, bob_pts())

        pts = iter(range(0, 1 << 40, 160))

        def bob_pts() -> int:
            return next(pts)

        speaking = asyncio.create_task(asyncio.to_thread(speak))
        await asyncio.sleep(0.05)
        recorder.exclude("bob")
        value = SECRET  # said after the call has returned
        await asyncio.sleep(0.05)
        going = False
        await speaking
        await asyncio.sleep(0.1)
    pcm, _ = read_all(tmp_path / "a.wav")
    assert not holds_secret(pcm)
