"""A LiveKit service of two nodes: a call over both of them, and the death of one."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from roomtape import AudioRecordingConfiguration, AudioRecordingPosition, ErrorCode, PushedAudio
from roomtape.rooms import LiveKitRoom
from roomtape.types import IntervalKind
from support.lag import Lag
from support.livekit_call import Talkers, later_than_said, livekit_room, talkers
from support.livekit_server import LiveKitServer, livekit_server, redis_server, until
from support.recorded_call import RATE_HZ, Recorded, RecordingClient, Takes
from support.signals import speech

pytestmark = pytest.mark.network

WORD_WITHIN_S = 0.040
POSITIONS = {
    "mixed": AudioRecordingPosition.MIXED_RECORDING_AND_PLAYBACK,
    "local": AudioRecordingPosition.RECORDING,
    "remote": AudioRecordingPosition.MIXED_PLAYBACK,
}
SPOKEN_S = 2.5


class Scene:
    """A take, and what happened when.

    Attributes:
        said: In each part: who said which voice, and the UTC time at which it began.
        killed_s: When in the last part the node died.
    """

    def __init__(self) -> None:
        self.said: dict[str, list[tuple[str, str, float]]] = {}
        self.killed_s = 0.0

    async def play(self, directory: Path) -> dict[str, Recorded]:
        parts: dict[str, Recorded] = {}
        with (
            redis_server() as redis,
            livekit_server(redis_port=redis) as first,
        ):
            # A room is where the first comes in, if there is only one node.
            async with talkers(first, "nodes", "alice") as near, AsyncExitStack() as stack:
                second = stack.enter_context(livekit_server(redis_port=redis))
                room, mouth = livekit_room(second), PushedAudio()
                client = RecordingClient(second.url, "nodes", room=room)
                await client.engine.set_local_audio(mouth)
                await stack.enter_async_context(client)
                async with talkers(second, "nodes", "bob") as far:
                    await until(lambda: _heard(room, "alice", "bob"))
                    for name, position in POSITIONS.items():
                        await _start(client, directory / f"{name}.wav", position)
                        near.said.clear()
                        far.said.clear()
                        near.say("alice", "alice", SPOKEN_S)
                        far.say("bob", "bob", SPOKEN_S)
                        mouth.push(speech("carol", SPOKEN_S))
                        ours = [("me", "carol", time.time())]
                        await asyncio.sleep(SPOKEN_S + 0.5)
                        parts[name] = await client.stop()
                        self.said[name] = [*near.said, *far.said, *ours]
                    parts["killed"] = await self._kill(client, room, first, far, directory)
        return parts

    async def _kill(
        self,
        client: RecordingClient,
        room: LiveKitRoom,
        node: LiveKitServer,
        others: Talkers,
        directory: Path,
    ) -> Recorded:
        """The node that hosts the room dies; who came by the other is there again soon."""
        await client.start(directory / "killed.wav")
        life = room._life
        await asyncio.sleep(1.0)
        self.killed_s = client.now_s
        node.kill()
        await until(lambda: room._life != life and _heard(room, "bob"), within_s=120)
        await asyncio.sleep(1.0)
        others.said.clear()
        others.say("bob", "dave", SPOKEN_S)
        await others.has_said("bob", "dave")
        await asyncio.sleep(SPOKEN_S + 0.5)
        self.said["killed"] = list(others.said)
        return await client.stop()


async def _start(client: RecordingClient, path: Path, position: AudioRecordingPosition) -> None:
    config = AudioRecordingConfiguration(path, sample_rate=RATE_HZ, position=position)
    assert await client.engine.start_audio_recording_with_config(config) is ErrorCode.OK


def _heard(room: LiveKitRoom, *uids: str) -> bool:
    """Whether all of them are here and can be heard."""
    assert room._roster is not None
    members = [room._roster._members.get(uid) for uid in uids]
    return all(
        member is not None
        and member._restored
        and not member.awaited
        and any(track._end_pts is not None for track in member.tracks)
        for member in members
    )


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="module")
def takes(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Takes:
    return Takes(lambda: scene.play(tmp_path_factory.mktemp("nodes")))


@pytest.fixture
def parts(takes: Takes, attempt: int, lag: Lag) -> dict[str, Recorded]:
    return takes.of(attempt, lag)


@pytest.mark.parametrize("name", [*POSITIONS, "killed"])
def test_each_recording_is_as_long_as_the_call(parts: dict[str, Recorded], name: str) -> None:
    part = parts[name]
    assert len(part.pcm) / RATE_HZ == pytest.approx(part.wall_s, abs=part.within(0.02))


@pytest.mark.parametrize(
    ("name", "heard"),
    [
        ("mixed", {"alice", "bob", "carol"}),
        ("local", {"carol"}),
        ("remote", {"alice", "bob"}),
        ("killed", {"dave"}),
    ],
)
def test_each_holds_the_right_voices_where_they_were_spoken(
    parts: dict[str, Recorded], scene: Scene, name: str, heard: set[str]
) -> None:
    part = parts[name]
    assert heard <= {voice for _, voice, _ in scene.said[name]}
    for _, voice, at in scene.said[name]:
        later_s, likeness = later_than_said(part, voice, at)
        if voice in heard:
            assert likeness > 0.35, voice
            assert abs(later_s) < part.within(WORD_WITHIN_S), voice
        else:
            assert likeness < 0.25, voice


def test_who_came_by_the_node_that_lives_goes_on_after_a_stall(
    parts: dict[str, Recorded], scene: Scene
) -> None:
    part = parts["killed"]
    (bob,) = part.stays("bob")
    (start_s, end_s), *others = part.intervals("bob", IntervalKind.STALLED)
    assert not others or part.lag.late_s
    assert start_s == pytest.approx(scene.killed_s, abs=part.within(0.5))
    assert end_s < part.report.duration_s - SPOKEN_S
    assert bob.left_s == pytest.approx(part.report.duration_s, abs=0.02)


def test_who_came_by_the_dead_node_stalls(parts: dict[str, Recorded], scene: Scene) -> None:
    part = parts["killed"]
    (alice,) = part.stays("alice")
    start_s, end_s = part.intervals("alice", IntervalKind.STALLED)[-1]
    assert start_s == pytest.approx(scene.killed_s, abs=part.within(0.5))
    assert end_s == pytest.approx(alice.left_s, abs=0.02)
