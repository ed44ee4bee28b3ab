"""Whatever another participant tells a client, it goes on: no exception, no growth."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomtape.rooms.rtp import bounds
from roomtape.rooms.rtp.send import Publisher
from roomtape.rooms.webrtc import peer
from roomtape.rooms.webrtc.peer import MAX_INBOX, Peer, PeerContext
from support.hostile import candidate, offer
from support.processes import descriptors
from support.room_listener import RoomEar

pytestmark = pytest.mark.network

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
WORDS = candidate(1).split(" ")


@st.composite
def broken(draw: st.DrawFn, text: str) -> str:
    """Some text with a few lines left out, twice, cut or with something else in them."""
    lines = text.split("\r\n")
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 4)):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.insert(at, lines[at])
            case 2:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case 3:
                lines[at] += draw(st.text(max_size=20))
            case _:
                lines[at] = lines[at].replace(
                    draw(st.sampled_from("0123456789 :/=")), draw(st.text(max_size=4))
                )
    return "\r\n".join(lines)


SDP = st.one_of(
    st.builds(offer, st.integers(1, 6), st.integers(0, 90)).flatmap(broken), st.text(), JSON
)
CANDIDATES = st.one_of(
    JSON,
    st.builds(
        lambda text, mid: {"candidate": text, "sdpMid": mid, "sdpMLineIndex": 0},
        st.one_of(
            st.integers(0, 10**6).map(candidate).map("candidate:{}".format),
            st.lists(st.sampled_from(WORDS) | st.text(max_size=9), max_size=12).map(" ".join),
        ),
        JSON,
    ),
)
MESSAGES = st.one_of(
    st.builds(lambda sdp: {"type": "offer", "call": "c", "sdp": sdp}, SDP),
    st.builds(lambda sdp: {"type": "answer", "call": "c", "sdp": sdp}, SDP),
    st.builds(lambda each: {"type": "candidate", "call": "c", "candidate": each}, CANDIDATES),
)


async def told(messages: list[dict[str, Any]], raised: list[dict[str, Any]]) -> None:
    """A peer that hears all of this, until it has dealt with it and is gone."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(context))
    tasks: list[asyncio.Task[None]] = []
    context = PeerContext(
        RoomEar(),
        Publisher(lambda muted: None),
        lambda message: None,
        lambda work: tasks.append(loop.create_task(work)),
        (),
        True,
    )
    participant = {"uid": "far", "session": "s", "muted": False, "recording": False}
    far = Peer(context, participant, offers=False, server="x")
    for message in messages:
        far.deliver(message)
        assert len(far._inbox) <= MAX_INBOX
    async with asyncio.timeout(20):
        while far._inbox:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
    assert not far._worker.done()
    far.close()
    await asyncio.gather(*tasks)
    await asyncio.sleep(0)
    gc.collect()  # what nobody asked for its exception tells of it now


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(messages=st.lists(MESSAGES, min_size=1, max_size=8))
def test_whatever_a_participant_tells_nothing_is_raised_and_nothing_stays(
    messages: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "TURN_S", 0.0)
    monkeypatch.setattr(peer, "OFFERS_A_SECOND", 1000.0)
    monkeypatch.setattr(bounds.logger, "disabled", True)
    logging.getLogger("roomtape.rooms.webrtc.peer").disabled = True
    raised: list[dict[str, Any]] = []
    threads = threading.active_count()
    open_before = descriptors()
    asyncio.run(told(messages, raised))
    assert raised == []
    assert threading.active_count() <= threads
    assert descriptors() <= open_before


def test_candidates_that_are_nested_deeply_are_left_out() -> None:
    nested: Any = "x"
    for _ in range(100000):
        nested = [nested]
    raised: list[dict[str, Any]] = []
    each = {"type": "candidate", "call": "c", "candidate": {"candidate": nested}}
    asyncio.run(told([{"type": "offer", "call": "c", "sdp": offer()}, each], raised))
    assert raised == []
