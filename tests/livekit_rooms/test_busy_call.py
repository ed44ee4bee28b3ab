"""One call on a LiveKit server, in which everything happens that can: mutes, unpublishes, somebody
who joins from elsewhere, one who is killed, a dropped connection of ours, a restarted server."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from roomtape.rooms import LiveKitRoom
from roomtape.types import IntervalKind, SourceReport
from support.lag import Lag
from support.livekit_call import later_than_said, livekit_room, talkers
from support.livekit_server import livekit_server, until
from support.processes import kill
from support.recorded_call import Recorded, RecordingClient, Takes

pytestmark = pytest.mark.network

WORD_WITHIN_S = 0.040
MUTED_S = 5.0
TOLD_S = 0.3
"""Between what an SDK client does and what the server says of it."""


class Scene:
    """A take, and what happened when.

    Attributes:
        at_s: In seconds of the recording, by what it was.
        said: Who said which voice, and the UTC time at which it began.
    """

    def __init__(self) -> None:
        self.at_s: dict[str, float] = {}
        self.said: list[tuple[str, str, float]] = []

    async def play(self, directory: Path) -> dict[str, Recorded]:
        with livekit_server() as server:
            room = livekit_room(server)
            client = RecordingClient(server.url, "busy", room=room)

            def mark(what: str) -> None:
                self.at_s[what] = client.now_s

            async with (
                client,
                talkers(server, "busy", "alice", "bob", "carol") as first,
                talkers(server, "busy", "dave") as doomed,
                AsyncExitStack() as later,
            ):
                for uid in ("alice", "bob", "carol", "dave"):
                    await client.told.until("joined", uid)
                await asyncio.sleep(1.0)
                await client.start(directory / "busy.wav")
                doomed.say("dave", "dave")
                await asyncio.sleep(2.5)
                mark("killed")
                kill(doomed.process)
                late = talkers(server, "busy", "erin", "carol")
                coming = asyncio.create_task(later.enter_async_context(late))
                first.say("alice", "alice")
                await asyncio.sleep(2.5)
                await first.do("alice", "mute")
                mark("muted")
                first.say("bob", "bob")
                await asyncio.sleep(2.5)
                await first.do("bob", "unpublish")
                mark("unpublished")
                await asyncio.sleep(max(0.0, self.at_s["muted"] + MUTED_S - client.now_s))
                await first.do("alice", "unmute")
                mark("unmuted")
                await first.do("bob", "publish")
                mark("published")
                second = await coming  # Erin is late, and Carol joins from elsewhere.
                second.say("carol", "carol")
                await asyncio.sleep(2.5)
                second.say("erin", "alice")
                await asyncio.sleep(2.5)
                mark("dropped")
                _drop(room)
                await asyncio.sleep(3.0)
                await first.do("alice", "leave")
                mark("left")
                # The server takes 20 s to miss somebody who was killed.
                await client.told.until("left", "dave")
                mark("restarted")
                server.kill()
                await asyncio.sleep(0.5)
                await asyncio.to_thread(server.start)
                await until(lambda: _all_back(room))
                await asyncio.sleep(2.5)  # their SDK sends again only some time later: 1.24 s, once
                mark("back")
                second.say("erin", "dave")
                await second.has_said("erin", "dave")
                await asyncio.sleep(3.0)
                recorded = await client.stop()
                self.said = [*doomed.said, *first.said, *second.said]
                return {"busy": recorded}


def _drop(room: LiveKitRoom) -> None:
    """Cut the WebSocket, as a failing network does."""
    assert room._link is not None
    ws = room._link._signalling._ws
    assert ws is not None
    ws.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def _all_back(room: LiveKitRoom) -> bool:
    """Everybody is heard again."""
    assert room._roster is not None
    members = room._roster._members.values()
    return all(
        member._restored and any(track._end_pts is not None for track in member.tracks)
        for member in members
    )


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="module")
def takes(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Takes:
    return Takes(lambda: scene.play(tmp_path_factory.mktemp("busy")))


@pytest.fixture
def busy(takes: Takes, attempt: int, lag: Lag) -> Recorded:
    return takes.of(attempt, lag)["busy"]


def only_stay(busy: Recorded, uid: str) -> SourceReport:
    (stay,) = busy.stays(uid)
    return stay


def holes(busy: Recorded, uid: str) -> list[tuple[str, float, float]]:
    """What is missing of somebody for longer than a packet or two, by its name."""
    kinds = (IntervalKind.LOST, IntervalKind.STALLED, IntervalKind.MUTED)
    found = [
        (kind.value, *each)
        for kind in kinds
        for each in busy.intervals(uid, kind)
        if each[1] - each[0] > 0.1 + busy.lag.late_s
    ]
    return sorted(found, key=lambda hole: hole[1])


def test_the_recording_is_as_long_as_the_call(busy: Recorded) -> None:
    assert len(busy.pcm) / 48000 == pytest.approx(busy.wall_s, abs=busy.within(0.02))


def test_every_word_stands_where_it_was_spoken(busy: Recorded, scene: Scene) -> None:
    assert [said[:2] for said in scene.said] == [
        ("dave", "dave"),
        ("alice", "alice"),
        ("bob", "bob"),
        ("carol", "carol"),
        ("erin", "alice"),
        ("erin", "dave"),
    ]
    for uid, voice, at in scene.said:
        later_s, likeness = later_than_said(busy, voice, at)
        assert likeness > 0.4, (uid, voice)
        assert abs(later_s) < busy.within(WORD_WITHIN_S), (uid, voice)


def test_a_mute_is_a_mute_and_nothing_is_lost_by_it(busy: Recorded, scene: Scene) -> None:
    kind, start_s, end_s = holes(busy, "alice")[0]
    assert kind == "muted"
    assert (start_s, end_s) == pytest.approx(
        (scene.at_s["muted"], scene.at_s["unmuted"]), abs=busy.within(TOLD_S)
    )


def test_what_is_unpublished_is_muted_until_it_is_published_again(
    busy: Recorded, scene: Scene
) -> None:
    kind, start_s, end_s = holes(busy, "bob")[0]
    assert kind == "muted"
    assert (start_s, end_s) == pytest.approx(
        (scene.at_s["unpublished"], scene.at_s["published"]), abs=busy.within(2 * TOLD_S)
    )


def test_who_joins_from_elsewhere_has_two_stays(busy: Recorded) -> None:
    first, second = busy.stays("carol")
    assert first.left_s == pytest.approx(second.joined_s, abs=busy.within(0.1))


def test_who_was_killed_stalls_until_the_server_misses_it(busy: Recorded, scene: Scene) -> None:
    dave = only_stay(busy, "dave")
    assert dave.left_s - scene.at_s["killed"] < 30
    ((start_s, end_s),) = busy.intervals("dave", IntervalKind.STALLED)
    assert start_s == pytest.approx(scene.at_s["killed"], abs=busy.within(0.5))
    assert end_s == pytest.approx(dave.left_s, abs=0.01)


def test_who_is_late_is_absent_before_and_who_left_after(busy: Recorded, scene: Scene) -> None:
    erin, alice = only_stay(busy, "erin"), only_stay(busy, "alice")
    assert erin.joined_s > scene.at_s["killed"]
    assert busy.intervals("erin", IntervalKind.ABSENT)[0] == (0.0, erin.joined_s)
    assert alice.left_s == pytest.approx(scene.at_s["left"], abs=busy.within(TOLD_S))


def test_our_own_dropped_connection_is_a_short_hole_for_everybody(
    busy: Recorded, scene: Scene
) -> None:
    """We join again at once; nobody has left."""
    dropped_s = scene.at_s["dropped"]
    for uid in ("erin", "bob"):
        near = [hole for hole in holes(busy, uid) if dropped_s - 0.1 < hole[1] < dropped_s + 1]
        assert len(near) <= 1
        for kind, start_s, end_s in near:
            assert kind in ("lost", "stalled")
            assert end_s - start_s < 1.5 + busy.lag.worst_s
        assert len(busy.told.times_s("joined", uid)) == 1


def test_a_restarted_server_is_a_stall_for_everybody_who_comes_back(
    busy: Recorded, scene: Scene
) -> None:
    for uid in ("bob", "carol", "erin"):
        since = holes(busy, uid)
        while since[0][2] < scene.at_s["restarted"]:
            del since[0]
        stall = max(since, key=lambda hole: hole[2] - hole[1])
        kind, start_s, end_s = stall
        assert kind == "stalled", since
        # What a server that ends, or has just begun, does not pass on is lost.
        others = [to_s - from_s for _, from_s, to_s in since if (from_s, to_s) != stall[1:]]
        assert all(lasted_s < 1.5 + busy.lag.worst_s for lasted_s in others), since
        assert start_s == pytest.approx(scene.at_s["restarted"], abs=busy.within(0.5))
        assert end_s <= busy.within(scene.at_s["back"])
        assert busy.stays(uid)[-1].left_s == pytest.approx(busy.report.duration_s, abs=0.02)


def test_nothing_else_is_missing(busy: Recorded) -> None:
    for stay in busy.report.sources:
        # The server begins a mute with a frame of silence, where there was a frame already.
        assert stay.late_s <= 0.021 + busy.lag.late_s
    assert [code.name for code, _ in busy.told.recording] == ["START", "FINISH"]
