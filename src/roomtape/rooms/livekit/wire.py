"""LiveKit's signalling messages (protobuf) at the door: what is understood, as our own types.

The server passes on what other participants say of themselves. So all of it is checked here, once:
what is too long, too many or not understood is left out. Nothing else in this package sees a
message of the server. The module does no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from ..attributes import RECORDING, agreement_in
from ..rtp.bounds import MAX_CANDIDATE_BYTES, Excess

PROTOCOL = 15
"""The version that is spoken: two peer connections, subscriptions one by one."""
"""The attribute of a participant that records."""
MAX_MESSAGE_BYTES = 8 << 20
"""A room of hundreds, each with some metadata."""
MAX_PARTICIPANTS = 1000
MAX_TRACKS_EACH = 16
MAX_NAME_BYTES = 512
"""Of an identity, or an id of the server's."""


@dataclass(frozen=True, slots=True)
class Track:
    """An audio track that somebody publishes.

    Attributes:
        sid: The server's name for it.
        encrypted: End to end: only who has the room's key can hear it.
    """

    sid: str
    muted: bool
    encrypted: bool


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody else in the room.

    Attributes:
        sid: Of this stay; who comes back has another.
        uid: The identity.
        left: Why it is no longer there; empty if it is.
        recording: It says that it records.
        agrees: It says that it agrees to be recorded, or does not; None where it has not said.
    """

    sid: str
    uid: str
    tracks: tuple[Track, ...]
    left: str
    recording: bool
    agrees: bool | None = None


@dataclass(frozen=True, slots=True)
class Relay:
    """A TURN server."""

    urls: tuple[str, ...]
    username: str
    credential: str


@dataclass(frozen=True, slots=True)
class Joined:
    """We are in.

    Attributes:
        life: The server's name for this life of the room: another after a restart, or on another
            node.
        ping_every_s, dead_after_s: How to know that the server is there.
    """

    life: str
    participants: tuple[Participant, ...]
    relays: tuple[Relay, ...]
    may_subscribe: bool
    may_publish: bool
    may_say: bool
    ping_every_s: float
    dead_after_s: float


@dataclass(frozen=True, slots=True)
class Update:
    participants: tuple[Participant, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    sdp: str
    id: int


@dataclass(frozen=True, slots=True)
class Answer:
    sdp: str
    id: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """For the connection over which we receive, or for that over which we send."""

    text: str
    receiving: bool


@dataclass(frozen=True, slots=True)
class Published:
    """The track that we called ``cid`` may be sent, and is called ``sid``."""

    cid: str
    sid: str


@dataclass(frozen=True, slots=True)
class Leave:
    """The server ends this stay.

    Attributes:
        reason: Why, in words.
        again: It may be joined again.
    """

    reason: str
    again: bool


@dataclass(frozen=True, slots=True)
class Renewed:
    """A newer token for the same."""

    token: str

    def __repr__(self) -> str:
        return "Renewed()"


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """A track that we may not hear; or that cannot be had, for ``why``."""

    track: str
    why: str


@dataclass(frozen=True, slots=True)
class Alien:
    """Something that only another kind of client can do."""

    what: str


Message: TypeAlias = (
    Joined | Update | Offer | Answer | Candidate | Published | Leave | Renewed | NotAllowed | Alien
)

_REASONS = {
    models.CLIENT_INITIATED: "left",
    models.DUPLICATE_IDENTITY: "another connection took this name",
    models.SERVER_SHUTDOWN: "the server shuts down",
    models.PARTICIPANT_REMOVED: "removed by the server",
    models.ROOM_DELETED: "the room was deleted",
    models.ROOM_CLOSED: "the room was closed",
    models.MIGRATION: "moved to another server",
    models.SIGNAL_CLOSE: "connection lost",
    models.CONNECTION_TIMEOUT: "connection lost",
    models.MEDIA_FAILURE: "connection lost",
    models.STATE_MISMATCH: "connection lost",
    models.JOIN_FAILURE: "it could not join",
}
_FINAL = {
    models.DUPLICATE_IDENTITY,
    models.PARTICIPANT_REMOVED,
    models.ROOM_DELETED,
    models.ROOM_CLOSED,
    models.USER_REJECTED,
}
"""After these, joining again would be against somebody's will."""


def parse(data: bytes, excess: Excess) -> Message | None:  # noqa: PLR0912 (one case a message)
    """One message of the server; None if it is not understood, or of no interest.

    Args:
        data: A binary message of the WebSocket.
        excess: Where is counted what is left out of it.

    Raises:
        ValueError: It is none of LiveKit.
    """
    response = rtc.SignalResponse()
    try:
        response.ParseFromString(data)
    except DecodeError:
        raise ValueError("a message that is none of LiveKit") from None
    kind = response.WhichOneof("message")
    match kind:
        case "join":
            return _joined(response.join, excess)
        case "update":
            return Update(_participants(response.update.participants, excess))
        case "offer":
            return Offer(response.offer.sdp, response.offer.id)
        case "answer":
            return Answer(response.answer.sdp, response.answer.id)
        case "trickle":
            text = _candidate(response.trickle.candidateInit)
            receiving = response.trickle.target == rtc.SUBSCRIBER
            return None if text is None else Candidate(text, receiving)
        case "track_published":
            return Published(response.track_published.cid, response.track_published.track.sid)
        case "leave":
            return _leave(response.leave)
        case "refresh_token":
            return Renewed(response.refresh_token)
        case "subscription_permission_update":
            update = response.subscription_permission_update
            why = "" if update.allowed else "its publisher does not allow it"
            return NotAllowed(update.track_sid, why) if why else None
        case "subscription_response":
            if response.subscription_response.err:
                why = "the server cannot send its codec"
                return NotAllowed(response.subscription_response.track_sid, why)
        case "media_sections_requirement":
            return Alien("sends and receives over one peer connection")
        case "room_moved":
            return Leave("the server moved this participant to another room", again=False)
    return None


def subscribe(tracks: Mapping[str, Iterable[str]]) -> bytes:
    """Ask for audio: track ids by participant id."""
    wanted = [
        models.ParticipantTracks(participant_sid=sid, track_sids=list(sids))
        for sid, sids in tracks.items()
    ]
    sids = [sid for each in wanted for sid in each.track_sids]
    return _request(
        subscription=rtc.UpdateSubscription(
            track_sids=sids, subscribe=True, participant_tracks=wanted
        )
    )


def answer(sdp: str, number: int) -> bytes:
    return _request(answer=rtc.SessionDescription(type="answer", sdp=sdp, id=number))


def offer(sdp: str, number: int) -> bytes:
    return _request(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=number))


def add_track(cid: str, *, muted: bool) -> bytes:
    """Ask to publish the microphone. Without RED: our packets bring FEC where packets are lost."""
    return _request(
        add_track=rtc.AddTrackRequest(
            cid=cid,
            name="microphone",
            type=models.AUDIO,
            source=models.MICROPHONE,
            muted=muted,
            disable_dtx=True,
            disable_red=True,
        )
    )


def mute(sid: str, muted: bool) -> bytes:
    return _request(mute=rtc.MuteTrackRequest(sid=sid, muted=muted))


def say(attributes: Mapping[str, str]) -> bytes:
    """Tell the others this of ourselves; see :mod:`..attributes`."""
    return _request(update_metadata=rtc.UpdateParticipantMetadata(attributes=attributes))


def ping(now_ms: int) -> bytes:
    return _request(ping_req=rtc.Ping(timestamp=now_ms))


def leave() -> bytes:
    return _request(
        leave=rtc.LeaveRequest(
            reason=models.CLIENT_INITIATED, action=rtc.LeaveRequest.Action.DISCONNECT
        )
    )


def _request(**message: Any) -> bytes:
    return bytes(rtc.SignalRequest(**message).SerializeToString())


def _joined(join: rtc.JoinResponse, excess: Excess) -> Joined:
    permission = join.participant.permission
    relays = tuple(
        Relay(
            tuple(url for url in server.urls[:8] if url.startswith(("turn:", "turns:"))),
            server.username,
            server.credential,
        )
        for server in join.ice_servers[:8]
    )
    return Joined(
        life=f"{join.room.sid} {join.server_info.node_id}",
        participants=_participants(join.other_participants, excess),
        relays=tuple(relay for relay in relays if relay.urls),
        may_subscribe=permission.can_subscribe,
        may_publish=permission.can_publish,
        may_say=permission.can_update_metadata,
        ping_every_s=min(max(join.ping_interval, 1), 60) if join.ping_interval else 5.0,
        dead_after_s=min(max(join.ping_timeout, 3), 120) if join.ping_timeout else 15.0,
    )


def _participants(infos: Iterable[Any], excess: Excess) -> tuple[Participant, ...]:
    participants: list[Participant] = []
    for info in infos:
        if len(participants) >= MAX_PARTICIPANTS:
            excess.add(f"participants in one message, more than {MAX_PARTICIPANTS}")
        elif not _is_name(info.sid) or not _is_name(info.identity):
            excess.add("participants with an impossible name")
        else:
            participants.append(_participant(info, excess))
    return tuple(participants)


def _participant(info: models.ParticipantInfo, excess: Excess) -> Participant:
    tracks: list[Track] = []
    for track in info.tracks:
        if track.type != models.AUDIO or not _is_name(track.sid):
            continue
        if len(tracks) >= MAX_TRACKS_EACH:
            excess.add(f"audio tracks of one participant, more than {MAX_TRACKS_EACH}")
            break
        encrypted = track.encryption != models.Encryption.NONE
        tracks.append(Track(track.sid, track.muted, encrypted))
    gone = info.state == models.ParticipantInfo.DISCONNECTED
    recording = info.attributes.get(RECORDING, "") == "true" or info.permission.recorder
    reason = _REASONS.get(info.disconnect_reason, "left") if gone else ""
    agrees = agreement_in(info.attributes)
    return Participant(info.sid, info.identity, tuple(tracks), reason, recording, agrees)


def _leave(request: rtc.LeaveRequest) -> Leave:
    reason = _REASONS.get(request.reason, "the server ended the connection")
    wanted = request.action != rtc.LeaveRequest.Action.DISCONNECT or request.can_reconnect
    again = request.reason not in _FINAL and (wanted or request.reason != models.CLIENT_INITIATED)
    return Leave(reason, again)


def _candidate(text: str) -> str | None:
    if len(text) > 2 * MAX_CANDIDATE_BYTES:
        return None
    try:
        found = json.loads(text).get("candidate")
    except (ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, str) and found else None


def _is_name(text: str) -> bool:
    return 0 < len(text.encode("utf-8", "replace")) <= MAX_NAME_BYTES and text.isprintable()
