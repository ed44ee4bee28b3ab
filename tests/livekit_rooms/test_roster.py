"""What a room's listener is told of participants and tracks, by what the server says of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from aiortc.rtp import RtpPacket

from roomtape.rooms.livekit import participant as participant_module
from roomtape.rooms.livekit import roster as roster_module
from roomtape.rooms.livekit import wire
from roomtape.rooms.livekit.description import MAX_TRACKS
from roomtape.rooms.livekit.participant import NO_TRACK
from roomtape.rooms.livekit.roster import Roster
from roomtape.rooms.rtp.bounds import Excess
from roomtape.rooms.rtp.opus import opus_encoder
from roomtape.rooms.rtp.receive import Incoming
from roomtape.types import AudioFrame
from support.room_listener import RoomEar

FRAME = 960


class Ear(RoomEar):
    """Notes tracks as well."""

    def on_muted(self, uid: str, track: str, muted: bool) -> None:
        self._note("muted", uid, track, muted)

    def on_track_ended(self, uid: str, track: str) -> None:
        self._note("track ended", uid, track)

    def told(self) -> list[tuple[object, ...]]:
        """What was told since the last call."""
        events, self.events = self.events, []
        return events


class Stage:
    """A roster, who listens to it, and what it asks for."""

    def __init__(self) -> None:
        self.ear = Ear()
        self.asked: list[dict[str, list[str]]] = []
        self.excess = Excess("test")
        self.roster = Roster(self.ear, subscribe=self._subscribe, excess=self.excess)

    def _subscribe(self, tracks: Mapping[str, Iterable[str]]) -> None:
        self.asked.append({sid: list(each) for sid, each in tracks.items()})

    def welcome(self, *present: wire.Participant, same_life: bool = False) -> None:
        self.roster.welcome(present, same_life=same_life)

    def update(self, *seen: wire.Participant) -> None:
        self.roster.update(seen)


@pytest.fixture
async def stage() -> Stage:
    return Stage()


def there(
    uid: str, *tracks: str, sid: str = "PA_1", muted: bool = False, encrypted: bool = False
) -> wire.Participant:
    made = tuple(wire.Track(track, muted, encrypted) for track in tracks)
    return wire.Participant(sid, uid, made, "", False)


def gone(uid: str, reason: str = "left", *, sid: str = "PA_1") -> wire.Participant:
    return wire.Participant(sid, uid, (), reason, False)


class Stream:
    """RTP packets of one track."""

    def __init__(self, stage: Stage, track: str) -> None:
        self._encoder = opus_encoder(64000)
        self._sequence = 100
        self.timestamp = 5000
        incoming = Incoming(None, {111: "opus"}, False, stage.excess)  # type: ignore[arg-type]
        audio = stage.roster.open(track, incoming)
        assert audio is not None
        self._audio = audio

    def send(self, *, skip: int = 0) -> None:
        """The next packet, ``skip`` samples later than it would be."""
        self.timestamp += skip
        packet = RtpPacket(payload_type=111, ssrc=7)
        packet.sequence_number, packet.timestamp = self._sequence, self.timestamp
        packet.payload = bytes(self._encoder.encode(np.zeros(FRAME, np.int16)))
        self._sequence += 1
        self.timestamp += FRAME
        self._audio.take(packet, time.monotonic_ns())


def last(stage: Stage, uid: str = "alice") -> AudioFrame:
    return stage.ear.frames[uid][-1]


async def test_who_publishes_nothing_is_muted(stage: Stage) -> None:
    stage.welcome(there("alice"))
    assert stage.ear.told() == [("joined", "alice"), ("muted", "alice", NO_TRACK, True)]
    assert stage.asked == []


async def test_a_track_is_asked_for_once_and_heard_from_its_first_packet_on(stage: Stage) -> None:
    stage.welcome(there("alice"))
    stage.ear.told()
    stage.update(there("alice", "TR_a"))
    stage.update(there("alice", "TR_a"))
    assert stage.asked == [{"PA_1": ["TR_a"]}]
    assert stage.ear.told() == [
        ("muted", "alice", NO_TRACK, False),
        ("track ended", "alice", NO_TRACK),
        ("muted", "alice", "TR_a", True),
    ]
    Stream(stage, "TR_a").send()
    assert stage.ear.told() == [("muted", "alice", "TR_a", False)]
    assert last(stage).gap_is_silence


async def test_a_track_that_sends_nothing_is_not_muted_for_long(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(participant_module, "BEGINS_WITHIN_S", 0.01)
    stage.welcome(there("alice", "TR_a"))
    await stage.ear.until_event("muted", "alice", "TR_a", False)


async def test_mute_is_told_and_what_was_skipped_meanwhile_is_silence(stage: Stage) -> None:
    stage.welcome(there("alice", "TR_a"))
    stream = Stream(stage, "TR_a")
    stream.send()
    stage.ear.told()
    stage.update(there("alice", "TR_a", muted=True))
    stage.update(there("alice", "TR_a", muted=False))
    assert stage.ear.told() == [("muted", "alice", "TR_a", True), ("muted", "alice", "TR_a", False)]
    stream.send(skip=5 * 48000)
    assert last(stage).gap_is_silence


@pytest.mark.parametrize(
    ("skip_s", "silence"), [(0.4, True), (1.1, True), (1.3, False), (20, False)]
)
async def test_a_jump_of_timestamps_is_silence_only_for_so_long(
    stage: Stage, skip_s: float, silence: bool
) -> None:
    stage.welcome(there("alice", "TR_a"))
    stream = Stream(stage, "TR_a")
    stream.send()
    stream.send()
    stream.send(skip=round(skip_s * 48000))
    assert last(stage).gap_is_silence is silence


async def test_unpublish_is_told_as_mute_and_a_new_track_takes_over(stage: Stage) -> None:
    stage.welcome(there("alice", "TR_a"))
    Stream(stage, "TR_a").send()
    stage.ear.told()
    stage.update(there("alice"))
    assert stage.ear.told() == [
        ("track ended", "alice", "TR_a"),
        ("muted", "alice", NO_TRACK, True),
    ]
    stage.update(there("alice", "TR_b"))
    Stream(stage, "TR_b").send()
    assert stage.ear.told()[-1] == ("muted", "alice", "TR_b", False)
    assert stage.asked == [{"PA_1": ["TR_a"]}, {"PA_1": ["TR_b"]}]


async def test_of_two_tracks_one_can_end(stage: Stage) -> None:
    stage.welcome(there("alice", "TR_a", "TR_b"))
    assert stage.asked == [{"PA_1": ["TR_a", "TR_b"]}]
    stage.ear.told()
    stage.update(there("alice", "TR_b"))
    assert stage.ear.told()[-1:] == [("track ended", "alice", "TR_a")]
    assert stage.roster.open("TR_a", None) is None  # type: ignore[arg-type]


async def test_who_leaves_has_left_with_the_reason(stage: Stage) -> None:
    stage.welcome(there("alice", "TR_a"))
    stage.update(gone("alice", "connection lost"))
    stage.update(gone("alice", "connection lost"))
    assert stage.ear.told()[-2:] == [
        ("track ended", "alice", "TR_a"),
        ("left", "alice", "connection lost"),
    ]


async def test_who_joins_from_elsewhere_is_another_stay(stage: Stage) -> None:
    stage.welcome(there("alice", "TR_a"))
    stage.ear.told()
    stage.update(there("alice", "TR_b", sid="PA_2"))
    stage.update(gone("alice", "another connection took this name"))  # of the former stay
    told = [event[:2] for event in stage.ear.told() if event[0] in ("left", "joined")]
    assert told == [("left", "alice"), ("joined", "alice")]
    assert stage.asked[-1] == {"PA_2": ["TR_b"]}


async def test_a_new_beginning_of_the_room_is_nobodys_leaving(stage: Stage) -> None:
    """The same audio goes on under another name; what is missing is missing."""
    stage.welcome(there("alice", "TR_a"))
    Stream(stage, "TR_a").send()
    stage.ear.told()
    stage.welcome()
    stage.update(there("alice", sid="PA_2"))  # is back, and about to publish again
    assert stage.ear.told() == []
    stage.update(there("alice", "TR_b", sid="PA_2"))
    assert stage.ear.told() == [
        ("track ended", "alice", "TR_a"),
        ("muted", "alice", "TR_b", False),
    ]
    Stream(stage, "TR_b").send()
    assert not last(stage).gap_is_silence


async def test_who_does_not_come_back_to_a_room_that_began_anew_has_left(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster_module, "REAPPEAR_WITHIN_S", 0.01)
    stage.welcome(there("alice", "TR_a"), there("bob", "TR_b", sid="PA_2"))
    stage.welcome(there("bob", "TR_c", sid="PA_3"))
    await stage.ear.until_event("left", "alice", "connection lost")
    assert not any(event[:2] == ("left", "bob") for event in stage.ear.told())


async def test_who_is_missing_in_a_room_that_went_on_has_left_at_once(stage: Stage) -> None:
    stage.welcome(there("alice", "TR_a"), there("bob", "TR_b", sid="PA_2"))
    stage.ear.told()
    stage.welcome(there("bob", "TR_b", sid="PA_2"), same_life=True)
    assert ("left", "alice", "left") in stage.ear.told()
    assert stage.asked[-1] == {"PA_2": ["TR_b"]}, "a new link has subscribed to nothing yet"


async def test_what_is_encrypted_is_not_asked_for(stage: Stage) -> None:
    stage.welcome(there("alice", "TR_a", encrypted=True))
    assert stage.asked == []
    assert stage.roster.encrypted == "alice"
    stage.update(there("bob", "TR_b", sid="PA_2"))
    assert stage.roster.encrypted == ""


async def test_participants_and_tracks_are_bounded(stage: Stage) -> None:
    tracks = [f"TR_{number}" for number in range(10)]
    for number in range(MAX_TRACKS // 10 + 10):
        names = [f"{number}{track}" for track in tracks]
        stage.update(there(f"uid{number}", *names, sid=f"PA_{number}"))
    asked = sum(len(sids) for each in stage.asked for sids in each.values())
    assert asked == MAX_TRACKS - 1
    assert stage.excess.counts
