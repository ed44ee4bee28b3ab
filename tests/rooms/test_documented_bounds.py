"""docs/signalling.md has every bound with its number, and each is that of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roomtape.rooms.rtp import (
    bounds,
    jitter_buffer,
    receive,
    retransmission,
    send,
)
from roomtape.rooms.rtp.aiortc_guards import MOST_ASKED_AT_ONCE
from roomtape.rooms.rtp.datagrams import aioice_internals
from roomtape.rooms.webrtc import peer, whip
from roomtape.rooms.webrtc import signalling as client
from roomtape.server import door, flow, ice, link, protocol, room, rooms, seldom, signalling
from roomtape.server.whip import endpoint

DOCS = Path(__file__).parents[2] / "docs" / "signalling.md"
MEDIA = bounds.MediaBounds()


WORDS = {5: "five"}


def kib(count: float) -> str:
    return f"{count / 1024:.0f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.0f} MiB"


def rate(a_second: float, at_once: float, unit: str = "") -> str:
    return f"{a_second:g}{unit} a second, {at_once:.0f}{unit} at once"


ROWS = {
    # What the server takes.
    "a message": kib(protocol.MAX_MESSAGE_BYTES),
    "messages of a client": rate(flow.MESSAGES_PER_S, flow.MESSAGES_BURST),
    "bytes of a client": f"{kib(flow.BYTES_PER_S)} a second, {kib(flow.BYTES_BURST)} at once",
    "changes of its `state` (what changes nothing is told to nobody)": rate(
        flow.STATES_PER_S, flow.STATES_BURST
    ),
    "offers, answers and candidates to one participant": rate(
        flow.FLOW_MESSAGES_PER_S, flow.FLOW_MESSAGES_BURST
    ),
    "their bytes": f"{kib(flow.FLOW_BYTES_PER_S)} a second, {kib(flow.FLOW_BYTES_BURST)} at once",
    "of them, offers": rate(flow.FLOW_OFFERS_PER_S, flow.FLOW_OFFERS_BURST),
    "candidates of each side of a call, in descriptions and after": f"{protocol.MAX_CANDIDATES}",
    "sections of a description": f"{protocol.MAX_SECTIONS}",
    "a candidate": f"{protocol.MAX_CANDIDATE_CHARS} characters",
    "new seats of a room for one address (one /64 of IPv6)": rate(
        flow.JOINS_PER_S, flow.JOINS_BURST
    ),
    "addresses that a room remembers for that": f"{room.MAX_ADDRESSES}",
    "participants of a room, rooms": f"{protocol.MAX_PARTICIPANTS}, {protocol.MAX_ROOMS}",
    "offers, answers and candidates that wait for a client": kib(link.MAX_UNSENT_BYTES),
    "errors that wait for a client": kib(link.MAX_COMPLAINTS_BYTES),
    "all messages that wait for a client": kib(link.MAX_UNSENT_ALL_BYTES),
    "a client that takes nothing while something waits": f"{link.STUCK_AFTER_S:.0f} s",
    "offers, answers and candidates kept for a seat that is away": (
        f"{room.MAX_HELD}, {kib(room.MAX_HELD_BYTES)}"
    ),
    "a connection that joins no room": f"{door.ENTER_WITHIN_S:.0f} s since its last request",
    "connections of one address (one /64 of IPv6)": (
        f"{door.MAX_PER_ADDRESS}, or `--max-per-address`"
    ),
    "ICE servers": f"{ice.MAX_ICE_SERVERS}",
    # What callers over HTTP may.
    "at once; of one address": f"{endpoint.MAX_CALLERS}; {endpoint.MAX_CALLERS_OF_ADDRESS}",
    "offers of one address": rate(endpoint.OFFERS_PER_S, endpoint.OFFERS_BURST),
    "an offer; a PATCH": f"{kib(endpoint.MAX_OFFER_BYTES)}; {kib(endpoint.MAX_PATCH_BYTES)}",
    "PATCHes of a session": rate(endpoint.PATCHES_PER_S, endpoint.PATCHES_BURST),
    "a caller that does not connect; over whose path nothing comes": (
        f"{whip.CONNECT_WITHIN_S:.0f} s; {aioice_internals.DEAD_AFTER_NS / 1e9:.0f} s"
    ),
    # What a client takes.
    "offers": (
        f"{bounds.MAX_OFFERS} at once, then one in {1 / bounds.OFFERS_A_SECOND:.0f} s; of those "
        "that wait, the last counts"
    ),
    "a description": (
        f"{kib(bounds.MAX_SDP_BYTES)}, {bounds.MAX_SECTIONS} sections, "
        f"{bounds.MAX_SECTION_LINES} lines a section, {bounds.MAX_LINE_BYTES} bytes a line"
    ),
    "audio sections that are answered": f"{MEDIA.tracks} of a call",
    "candidates": (
        f"{bounds.MAX_CANDIDATES} of a call, {bounds.MAX_CANDIDATE_BYTES} bytes each; UDP, "
        "component 1"
    ),
    "candidates before the answer that they belong to": f"{peer.MAX_EARLY}",
    "messages that wait": f"{peer.MAX_INBOX}",
    "calls set up by a client": f"one in {1000 * peer.TURN_S:.0f} ms, all participants together",
    "datagrams": (
        f"{MEDIA.datagrams} at once, {MEDIA.datagrams_a_second:.0f} a second, "
        f"{bounds.MAX_DATAGRAM_BYTES} bytes each; {aioice_internals.STRANGERS[0]} at once and "
        f"{aioice_internals.STRANGERS[1]:.0f} a second from addresses that no check has proved"
    ),
    "addresses that packets come from": f"{2 * bounds.MAX_CANDIDATES} of a call",
    "streams (SSRCs)": f"{MEDIA.ssrcs} of a track, one at a time",
    "audio": (
        f"{receive.AHEAD_S:.0f} s faster than it is spoken, {receive.FASTEST:g} s a second in the "
        "long run"
    ),
    "RTCP": (
        f"{2 * MEDIA.rtcp_bytes_a_second:.0f} bytes at once, {MEDIA.rtcp_bytes_a_second:.0f} a "
        "second"
    ),
    "packets sent again": (
        f"{MEDIA.resends_a_second:.0f} a second, {2 * MEDIA.resends_a_second:.0f} at once, "
        f"{MOST_ASKED_AT_ONCE} of one NACK"
    ),
    "missing packets that are asked for": (
        f"{retransmission.MAX_MISSING}, each {WORDS[retransmission.MAX_ASKS]} times, for "
        f"{jitter_buffer.MAX_ASKED_WAIT_NS / 1e9:.2f} s"
    ),
    "packets that wait for a missing one": f"{jitter_buffer.MAX_HELD}",
    "packets of ours that wait for it": f"{send.MAX_QUEUED}, 10 s",
    "a message of the server; messages that wait to be sent to it": (
        f"{kib(client.MAX_MESSAGE_BYTES)}; {client.MAX_UNSENT}"
    ),
}

IN_WORDS = {
    f"within {signalling.JOIN_TIMEOUT_S:.0f} s:": "the first message",
    f"holds the seat for {rooms.GRACE_S:.0f} s": "who is away",
    f"quiet for {rooms.HEARTBEAT_S:g} s": "pings",
    f"not connected after {peer.CONNECT_WITHIN_S:.0f} s": "offers made anew",
    f"heard neither the server nor\nanybody in the room for {client.RECONNECT_FOR_S:.0f} s": "end",
    f"nothing at all comes for {aioice_internals.DEAD_AFTER_NS / 1e9:.0f} s": "a dead path",
    "one line a minute": f"{seldom.EVERY_S:.0f}",
}


def table() -> dict[str, str]:
    rows: dict[str, str] = {}
    for line in DOCS.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) >= 2:
            rows.setdefault(cells[0], cells[1])
    return rows


@pytest.mark.parametrize("what", ROWS)
def test_a_bound_is_documented_with_its_number(what: str) -> None:
    assert table().get(what) == ROWS[what]


@pytest.mark.parametrize("words", IN_WORDS)
def test_a_time_is_documented_with_its_number(words: str) -> None:
    text = re.sub(r"\s+", " ", DOCS.read_text())
    assert re.sub(r"\s+", " ", words).removesuffix(":") in text
