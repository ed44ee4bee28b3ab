"""``/metrics``, ``/healthz``, and webhooks that only the service can send."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from livekit import api

from roomtape.fleet.front import Front, Health
from roomtape.fleet.leases import FoundRoom
from roomtape.fleet.metrics import Metrics
from roomtape.fleet.options import Service
from roomtape.fleet.recorder.messages import Beat, Ended
from roomtape.fleet.service import Webhooks
from roomtape.types.errors import ConfigurationError

SERVICE = Service("ws://127.0.0.1:9", "key", "a secret of the service, 32 bytes")


class Scene:
    def __init__(self) -> None:
        self.metrics = Metrics()
        self.told: list[FoundRoom] = []
        self.well = True
        self.front = Front(
            "127.0.0.1",
            0,
            webhooks=Webhooks(SERVICE),
            metrics=self.metrics,
            refresh=lambda: self.metrics.rooms.set(len(self.told)),
            health=self._health,
            told=self._hear,
        )
        self.url = ""

    def _health(self) -> Health:
        return self.well, {"state": "running"}

    async def _hear(self, room: FoundRoom) -> None:
        self.told.append(room)

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as http, http.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def post(self, body: bytes, signature: str) -> int:
        headers = {"Authorization": signature}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/webhook", data=body, headers=headers) as answer,
        ):
            return answer.status


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    made.url = await made.front.start()
    yield made
    await made.front.close()
    await made.front.close()


def event(kind: str, room: str = "a", sid: str = "RM_1") -> bytes:
    return json.dumps({"event": kind, "room": {"name": room, "sid": sid}, "id": "EV_1"}).encode()


def signed(body: bytes, *, service: Service = SERVICE) -> str:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return api.AccessToken(service.key, service.secret).with_sha256(digest).to_jwt()


@pytest.mark.parametrize("kind", ["room_started", "participant_joined"])
async def test_a_room_that_somebody_comes_into_is_told_of(scene: Scene, kind: str):
    body = event(kind)
    assert await scene.post(body, signed(body)) == 200
    assert scene.told == [FoundRoom("a", "RM_1")]


@pytest.mark.parametrize("kind", ["room_finished", "track_published", "a_new_one"])
async def test_other_events_are_passed_over(scene: Scene, kind: str):
    body = event(kind)
    assert await scene.post(body, signed(body)) == 200
    assert scene.told == []


async def test_what_the_service_has_not_signed_is_refused(scene: Scene):
    body = event("room_started")
    other = Service(SERVICE.url, "key", "another secret, that is as long as it")
    no_hash = api.AccessToken(SERVICE.key, SERVICE.secret).to_jwt()
    for signature in ("", "Bearer x", signed(body, service=other), signed(b"{}"), no_hash):
        assert await scene.post(body, signature) == 401
    _, text = await scene.get("/metrics")
    assert 'roomtape_webhooks_total{result="refused"} 5.0' in text
    for odd in (b"", b"{", b"\xff", b"[]", b'{"room": 7}', b'{"event": "room_started"}'):
        assert await scene.post(odd, signed(odd)) in (200, 401)
    assert scene.told == []


async def test_what_is_too_large_is_refused(scene: Scene):
    body = event("room_started", room="x" * 2000)
    assert await scene.post(body, signed(body)) == 200
    assert await scene.post(b"x" * 300_000, signed(b"")) == 413
    assert scene.told == []


async def test_health_is_told_with_its_status(scene: Scene):
    assert await scene.get("/healthz") == (200, '{"state": "running"}')
    scene.well = False
    assert (await scene.get("/healthz"))[0] == 503


async def test_metrics_are_counted_and_name_nobody(scene: Scene):
    scene.metrics.count_ended(
        Ended("secret room", 1, "x", "/data/a.aac", False, 9.0, 0.5, 0.25, {"no_audio": 2})
    )
    scene.metrics.count_ended(Ended("secret room", 2, "cannot join", failed=True))
    scene.metrics.count_ended(Ended("secret room", 3, "disk", "/data/b.aac", True))
    scene.metrics.show_beats({0: Beat(3.0, 0.01, 1.5), 1: Beat(4.0, 0.02, 0.5)})
    status, text = await scene.get("/metrics")
    assert status == 200
    for line in (
        'roomtape_recordings_total{result="finished"} 1.0',
        'roomtape_recordings_total{result="not_begun"} 1.0',
        'roomtape_recordings_total{result="failed"} 1.0',
        'roomtape_missing_seconds_total{kind="lost"} 0.5',
        'roomtape_missing_seconds_total{kind="late"} 0.25',
        'roomtape_warnings_total{code="no_audio"} 2.0',
        "roomtape_recorded_seconds 7.0",
        "roomtape_recorder_cpu_seconds 2.0",
        'roomtape_recorder_lag_seconds{process="1"} 0.02',
        "roomtape_rooms 0.0",
    ):
        assert line in text
    assert "secret room" not in text
    assert "/data" not in text


async def test_a_port_that_is_taken_is_one_line(scene: Scene):
    other = Scene()
    port = int(scene.url.rsplit(":", 1)[1])
    other.front = Front(
        "127.0.0.1",
        port,
        webhooks=Webhooks(SERVICE),
        metrics=other.metrics,
        refresh=lambda: None,
        health=lambda: (True, {}),
        told=other._hear,
    )
    with pytest.raises(ConfigurationError, match=f"cannot listen at 127.0.0.1:{port}"):
        await other.front.start()
