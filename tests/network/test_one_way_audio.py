"""Participants who are there and not heard: which of them is warned of, and what is reported.

All calls run at the same time, each in a room of its own.
"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from roomtape.rooms.rtp import send
from roomtape.server.app import RoomServer
from roomtape.types import AudioRecordingWarning, IntervalKind
from support.lag import Lag
from support.recorded_call import Harm, Recorded, RecordingClient, Speaker, Takes, record_call
from support.relay import Relay

pytestmark = pytest.mark.network

HEARD_S = 2.0
QUIET_S = 12.0
"""The warnings come after 10 s, and are looked for once a second."""
Calls = dict[str, Recorded]


async def cut_from_the_start(speaker: Speaker, client: RecordingClient) -> None:
    speaker.way.cut = True
    await asyncio.sleep(HEARD_S + QUIET_S)


async def cut(speaker: Speaker, client: RecordingClient) -> None:
    await asyncio.sleep(HEARD_S)
    client.mark()
    speaker.way.cut = True
    await asyncio.sleep(QUIET_S)


async def fall_silent(speaker: Speaker, client: RecordingClient) -> None:
    await asyncio.sleep(HEARD_S)
    speaker.audio.clear()
    await asyncio.sleep(QUIET_S)


async def mute(speaker: Speaker, client: RecordingClient) -> None:
    await asyncio.sleep(HEARD_S)
    client.mark()
    speaker.audio.muted = True
    await asyncio.sleep(QUIET_S)


async def mute_and_cut(speaker: Speaker, client: RecordingClient) -> None:
    """As a participant does who takes back what it publishes."""
    await asyncio.sleep(HEARD_S)
    client.mark()
    await speaker.room.publish(None)
    await asyncio.sleep(QUIET_S)


WHO: dict[str, Harm] = {
    "unheard": cut_from_the_start,
    "gone": cut,
    "silent": fall_silent,
    "muted": mute,
    "unpublished": mute_and_cut,
}


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Takes:
    async def scene() -> Calls:
        directory, together = tmp_path_factory.mktemp("calls"), asyncio.Barrier(len(WHO))
        with pytest.MonkeyPatch.context() as patch:
            # What a browser takes. At this rate Opus makes steps of +-1 of digital silence.
            patch.setattr(send, "BIT_RATE", 32000)
            async with RoomServer("127.0.0.1", 0) as server, Relay(server.url) as relay:
                recorded = await asyncio.gather(
                    *(
                        record_call(relay, name, directory, harm, together)
                        for name, harm in WHO.items()
                    )
                )
        return dict(zip(WHO, recorded, strict=True))

    return Takes(scene)


@pytest.fixture
def calls(takes: Takes, attempt: int, lag: Lag) -> Calls:
    return takes.of(attempt, lag)


def test_who_is_not_muted_and_sends_nothing_is_warned_of_once(calls: Calls) -> None:
    assert calls["unheard"].told.warnings == [AudioRecordingWarning.NO_AUDIO]
    assert calls["gone"].told.warnings == [AudioRecordingWarning.NO_AUDIO]
    assert "gone is not muted but has sent nothing" in calls["gone"].report.warnings[0]


def test_who_sends_digital_silence_is_warned_of_though_the_codec_makes_steps_of_it(
    calls: Calls,
) -> None:
    call = calls["silent"]
    assert np.abs(call.pcm[-48000:]).max() in range(1, 3)
    assert call.told.warnings == [AudioRecordingWarning.SILENT_AUDIO]


@pytest.mark.parametrize("who", ["muted", "unpublished"])
def test_who_is_muted_is_not_warned_of_and_loses_nothing(calls: Calls, who: str) -> None:
    call = calls[who]
    (stay,) = call.stays(who)
    assert call.told.warnings == []
    assert stay.lost_s <= call.lag.late_s
    ((start_s, end_s),) = call.intervals(who, IntervalKind.MUTED)
    assert start_s == pytest.approx(call.marks_s[0], abs=call.within(0.1))
    assert end_s == pytest.approx(call.report.duration_s, abs=call.within(0.02))
    assert call.intervals(who, IntervalKind.STALLED) == []


def test_nothing_for_the_rest_of_the_recording_is_a_stall(calls: Calls) -> None:
    call = calls["gone"]
    ((start_s, end_s),) = call.intervals("gone", IntervalKind.STALLED)
    assert start_s == pytest.approx(call.marks_s[0], abs=call.within(0.1))
    assert end_s == pytest.approx(call.report.duration_s, abs=call.within(0.1))


def test_who_was_never_heard_is_not_reported_as_received(calls: Calls) -> None:
    call = calls["unheard"]
    (stay,) = call.stays("unheard")
    heard_s = call.within(0.1)  # what was on its way when it was cut
    assert stay.received_s < heard_s
    assert not call.pcm[round(heard_s * 48000) :].any()
    assert len(call.intervals("unheard", IntervalKind.STALLED)) == 1, stay
    ((start_s, end_s),) = call.intervals("unheard", IntervalKind.STALLED)
    assert start_s < heard_s
    assert end_s == pytest.approx(call.report.duration_s, abs=heard_s)


@pytest.mark.parametrize("who", WHO)
def test_silence_is_as_long_as_the_clock_says(calls: Calls, who: str) -> None:
    call = calls[who]
    assert len(call.pcm) / 48000 == pytest.approx(call.wall_s, abs=call.within(0.02))
