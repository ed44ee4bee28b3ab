"""A client that hears anything from another participant."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from hypothesis import strategies as st

from roomtape.rooms.rtp.datagrams.arrivals import Arrivals
from roomtape.rooms.rtp.send import Publisher
from roomtape.rooms.webrtc.peer import MAX_INBOX, Peer, PeerContext

from .hostile import candidate, offer
from .room_listener import RoomEar

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
        Arrivals(),
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
