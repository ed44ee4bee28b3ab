"""A worker that is the only one, and the real service: webhooks, how it is seen, a room that is
closed, a recorder that dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from support.fleet import (
    check_heard,
    crowd,
    files,
    named,
    names,
    recordings,
    running_worker,
    wait_until,
)
from support.livekit_server import KEY, SECRET, LiveKitServer, free_port, livekit_server
from support.processes import tell

pytestmark = [pytest.mark.network]

ROOM = names(1)[0]


class TellingServer(LiveKitServer):
    """One that sends webhooks."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._webhook = url

    def _configuration(self) -> str:
        return (
            super()._configuration() + f'webhook: {{api_key: {KEY}, urls: ["{self._webhook}"]}}\n'
        )


def recorders(url: str) -> list[Any]:
    """The participants of the room that record, as the service knows them."""

    async def ask() -> list[Any]:
        async with api.LiveKitAPI(url, KEY, SECRET) as service:
            found = await service.room.list_participants(api.ListParticipantsRequest(room=ROOM))
            return [each for each in found.participants if each.permission.recorder]

    return asyncio.run(ask())


def test_a_room_that_a_webhook_tells_of_is_recorded_to_its_end(tmp_path: Path, lag):
    directory, port = tmp_path / "recordings", free_port()
    server = TellingServer(f"http://127.0.0.1:{port}/webhook")
    try:
        server.start()
        with running_worker(
            directory,
            server.url,
            *("--processes", "1", "--listen", f"127.0.0.1:{port}", "--visible", "The Recorder"),
            *("--list-every", "600"),  # nobody lists rooms
            log=tmp_path / "log",
        ) as worker:
            wait_until(lambda: worker.health()["well"], "the worker is up")
            with crowd(server.url, 1) as participants:
                wait_until(lambda: len(files(directory, ROOM)) == 1, "the room is recorded")
                (recorder,) = recorders(server.url)
                assert recorder.identity.startswith(f"roomtape-{worker.name}-")
                assert (recorder.name, recorder.permission.hidden) == ("The Recorder", False)
                assert not recorder.permission.can_publish
                time.sleep(2)
                tell(participants, f"leave {ROOM}")
                wait_until(lambda: worker.health()["rooms"] == 0, "the room is closed")
            (recording,) = recordings(directory, ROOM)
            assert [each["name"] for each in recording.report["sources"]] == ["hummer-0"]
            assert recording.report["sources"][0]["received_s"] > 1.5 - lag.worst_s
            assert recording.fleet["next"] is None
            assert worker.metric('webhooks_total{result="taken"}') >= 1
            assert worker.drain() == 0
    finally:
        server.remove()


def test_a_recorder_that_dies_is_replaced(tmp_path: Path, lag):
    directory = tmp_path / "recordings"
    with (
        livekit_server() as server,
        crowd(server.url, 1),
        running_worker(
            directory, server.url, "--processes", "1", "--log", "json", log=tmp_path / "log"
        ) as worker,
    ):
        wait_until(lambda: len(files(directory, ROOM)) == 1, "the room is recorded")
        (recorder,) = recorders(server.url)
        assert recorder.permission.hidden
        time.sleep(2)
        (child,) = worker.children()
        os.kill(child, signal.SIGKILL)
        killed_s = time.time()
        wait_until(lambda: len(files(directory, ROOM)) == 2, "the room is recorded again")
        wait_until(lambda: len(recordings(directory, ROOM)) == 1, "the file is recovered")
        time.sleep(2)
        assert worker.metric("process_restarts_total") == 1
        assert len(recorders(server.url)) == 1  # the one that died was put out
        assert worker.drain() == 0
        first, second = recordings(directory, ROOM)
        assert first.fleet["ended"] == "recovered"
        assert killed_s - first.ended_s < 1 + lag.worst_s
        assert first.fleet["next"] == named(second)
        assert second.fleet["previous"] == named(first)
        check_heard(second, 0, 1, lag)
        assert all(json.loads(line)["worker"] == worker.name for line in worker.log.splitlines())
        assert SECRET not in worker.log
        assert "eyJ" not in worker.log
