"""A worker that keeps somebody out, records only who agreed, and beeps, over a real service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from livekit import api
from livekit.protocol import models

from support.fleet import (
    Recording,
    crowd,
    files,
    names,
    recordings,
    running_worker,
    wait_until,
)
from support.livekit_crowd import tone_hz
from support.livekit_server import KEY, SECRET, livekit_server
from support.readers import read_ffmpeg

pytestmark = [pytest.mark.network]

ROOMS = names(2)
BEEP_HZ = 1400.0


def participants(url: str, room: str) -> dict[str, models.ParticipantInfo]:
    """Who is in a room, as the service knows them."""

    async def ask() -> dict[str, models.ParticipantInfo]:
        async with api.LiveKitAPI(url, KEY, SECRET) as service:
            found = await service.room.list_participants(api.ListParticipantsRequest(room=room))
            return {each.identity: each for each in found.participants}

    return asyncio.run(ask())


def asking(url: str, room: str) -> list[models.ParticipantInfo]:
    """The recorders in it that ask for consent."""
    return [
        each
        for each in participants(url, room).values()
        if each.attributes.get("roomtape.asks") == "true"
    ]


def agree(url: str, room: str, identity: str) -> None:
    """Have a participant say that it agrees."""

    async def say() -> None:
        async with api.LiveKitAPI(url, KEY, SECRET) as service:
            await service.room.update_participant(
                api.UpdateParticipantRequest(
                    room=room, identity=identity, attributes={"roomtape.agrees": "true"}
                )
            )

    asyncio.run(say())


def loudness(recording: Recording, frequency_hz: float) -> np.ndarray:
    """How loud a tone is in each tenth of a second."""
    pcm, rate_hz = read_ffmpeg(recording.path)
    size = rate_hz // 10
    windows = pcm[: len(pcm) // size * size].reshape(-1, size).astype(float) * np.hanning(size)
    turns = np.exp(-2j * np.pi * frequency_hz * np.arange(size) / rate_hz)
    return np.abs(windows @ turns) * 4 / size


def test_who_is_excluded_or_has_not_agreed_is_in_no_file_and_rooms_hear_the_beep(tmp_path: Path):
    directory = tmp_path / "recordings"
    respect = ("--consent", "--exclude", "hummer-1", "--beep", "1", "--visible", "The Recorder")
    with (
        livekit_server() as server,
        crowd(server.url, len(ROOMS)),
        running_worker(
            directory, server.url, "--processes", "1", *respect, log=tmp_path / "log"
        ) as worker,
    ):
        for room in ROOMS:
            wait_until(lambda room=room: len(files(directory, room)) == 1, "it is recorded")
            wait_until(lambda room=room: len(asking(server.url, room)) == 1, "it asks")
            (recorder,) = asking(server.url, room)
            wait_until(
                lambda room=room, who=recorder.identity: participants(server.url, room)[who].tracks,
                "it beeps",
            )
        path = files(directory, ROOMS[0])[0]
        size = path.stat().st_size
        wait_until(lambda: path.stat().st_size > size + 20_000, "more is recorded")
        for room, who in zip(ROOMS, ("hummer-0", "hummer-1"), strict=True):
            agree(server.url, room, who)
        size = path.stat().st_size
        wait_until(lambda: path.stat().st_size > size + 40_000, "more is recorded")
        assert worker.drain() == 0
    first, second = (recordings(directory, room)[0] for room in ROOMS)
    for each in (first, second):
        assert each.report["consent"] == "required"
        assert loudness(each, BEEP_HZ).max() > 1000
    acts = [(act["kind"], act["who"]) for act in first.report["acts"]]
    assert ("agreed", "hummer-0") in acts
    (agreed,) = [act["at_s"] for act in first.report["acts"] if act["kind"] == "agreed"]
    heard = loudness(first, tone_hz(0))
    before = round(agreed * 10)
    assert before > 10
    assert heard[:before].max() < 100
    assert heard[before:].max() > 2000
    assert ("excluded", "hummer-1") in [(act["kind"], act["who"]) for act in second.report["acts"]]
    assert loudness(second, tone_hz(1)).max() < 100
