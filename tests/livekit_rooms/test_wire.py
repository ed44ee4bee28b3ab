"""What a LiveKit server says, at the door."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from roomtape.rooms.livekit import wire
from roomtape.rooms.rtp.bounds import Excess
from support.examples import examples


def parsed(**message: object) -> wire.Message | None:
    return wire.parse(rtc.SignalResponse(**message).SerializeToString(), Excess("test"))


def participant(uid: str = "alice", **more: object) -> models.ParticipantInfo:
    return models.ParticipantInfo(sid=f"PA_{uid}", identity=uid, **more)


def update(*infos: models.ParticipantInfo) -> tuple[wire.Participant, ...]:
    message = parsed(update=rtc.ParticipantUpdate(participants=infos))
    assert isinstance(message, wire.Update)
    return message.participants


def test_only_audio_is_seen() -> None:
    tracks = [
        models.TrackInfo(sid="TR_a", type=models.AUDIO, muted=True),
        models.TrackInfo(sid="TR_v", type=models.VIDEO),
        models.TrackInfo(sid="TR_e", type=models.AUDIO, encryption=models.Encryption.GCM),
    ]
    (alice,) = update(participant(tracks=tracks))
    assert alice.tracks == (wire.Track("TR_a", True, False), wire.Track("TR_e", False, True))


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (models.CLIENT_INITIATED, "left"),
        (models.DUPLICATE_IDENTITY, "another connection took this name"),
        (models.PARTICIPANT_REMOVED, "removed by the server"),
        (models.CONNECTION_TIMEOUT, "connection lost"),
        (models.UNKNOWN_REASON, "left"),
    ],
)
def test_who_left_did_so_for_a_reason(reason: int, words: str) -> None:
    state = models.ParticipantInfo.DISCONNECTED
    (alice,) = update(participant(state=state, disconnect_reason=reason))
    assert alice.left == words


def test_who_records_is_known_by_the_token_or_by_saying_so() -> None:
    says = participant("a", attributes={wire.RECORDING: "true"})
    recorder = participant("b", permission=models.ParticipantPermission(recorder=True))
    assert [each.recording for each in update(says, recorder, participant("c"))] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("uid", ["", "x" * 600, "a\nb", "\u202e"])
def test_impossible_names_are_left_out(uid: str) -> None:
    odd = models.ParticipantInfo(sid="PA_1", identity=uid)
    assert [each.uid for each in update(odd, participant("bob"))] == ["bob"]


def test_a_crowd_is_bounded() -> None:
    crowd = [participant(str(number)) for number in range(wire.MAX_PARTICIPANTS + 5)]
    assert len(update(*crowd)) == wire.MAX_PARTICIPANTS
    many = [models.TrackInfo(sid=f"TR_{number}") for number in range(100)]
    (alice,) = update(participant(tracks=many))
    assert len(alice.tracks) == wire.MAX_TRACKS_EACH


def test_only_turn_servers_are_taken() -> None:
    servers = [
        rtc.ICEServer(urls=["stun:stun.example.org", "turn:turn.example.org"], username="u"),
        rtc.ICEServer(urls=["stun:stun.example.org"]),
    ]
    joined = parsed(join=rtc.JoinResponse(ice_servers=servers))
    assert isinstance(joined, wire.Joined)
    assert [relay.urls for relay in joined.relays] == [("turn:turn.example.org",)]


@pytest.mark.parametrize(
    ("leave", "again"),
    [
        (rtc.LeaveRequest(action=rtc.LeaveRequest.Action.RECONNECT), True),
        (rtc.LeaveRequest(action=rtc.LeaveRequest.Action.RESUME), True),
        (rtc.LeaveRequest(reason=models.SERVER_SHUTDOWN), True),
        (rtc.LeaveRequest(reason=models.DUPLICATE_IDENTITY), False),
        (rtc.LeaveRequest(reason=models.ROOM_DELETED), False),
        (rtc.LeaveRequest(reason=models.PARTICIPANT_REMOVED), False),
    ],
)
def test_the_server_says_whether_one_may_come_back(leave: rtc.LeaveRequest, again: bool) -> None:
    message = parsed(leave=leave)
    assert isinstance(message, wire.Leave)
    assert message.again is again
    assert message.reason


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "{}", '{"candidate": 1}', "9" * 5000, '{"candidate": ""}', "[" * 1000]
)
def test_a_candidate_that_is_none_is_left_out(text: str) -> None:
    assert parsed(trickle=rtc.TrickleRequest(candidateInit=text)) is None


def test_a_candidate_is_for_one_of_two_connections() -> None:
    text = json.dumps({"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host"})
    for target, receiving in ((rtc.SUBSCRIBER, True), (rtc.PUBLISHER, False)):
        message = parsed(trickle=rtc.TrickleRequest(candidateInit=text, target=target))
        assert message == wire.Candidate("candidate:1 1 udp 1 127.0.0.1 9 typ host", receiving)


def test_what_is_of_no_interest_is_ignored() -> None:
    assert parsed(pong=1) is None
    assert parsed() is None
    assert wire.parse(b"\xfa\x07\x03abc", Excess("test")) is None  # a field of the future


def test_a_server_with_one_peer_connection_is_told_apart() -> None:
    requirement = rtc.MediaSectionsRequirement(num_audios=3)
    assert isinstance(parsed(media_sections_requirement=requirement), wire.Alien)


def test_a_token_is_not_shown() -> None:
    message = parsed(refresh_token="a.secret.token")
    assert message == wire.Renewed("a.secret.token")
    assert "secret" not in repr(message)


@examples(200)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        wire.parse(data, Excess("test"))
