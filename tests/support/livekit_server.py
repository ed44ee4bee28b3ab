"""The real LiveKit server, in a process of its own, on the loopback interface."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from livekit import api

VERSION = "v1.13.5"
KEY, SECRET = "devkey", "not a secret, since only tests know this key"
_START_S = 60.0


def server_path() -> str:
    """The program; where there is none, the test is skipped."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = Path(
        os.environ.get("ROOMTAPE_LIVEKIT_SERVER") or cache / f"roomtape/livekit-server-{VERSION}"
    )
    if not path.is_file():
        pytest.skip(f"there is no LiveKit server at {path}: .ci/livekit-server builds it")
    return str(path)


def make_token(room: str, identity: str, *, secret: str = SECRET, **grants: Any) -> str:
    """Lets ``identity`` into ``room``."""
    video = api.VideoGrants(room_join=True, room=room, **grants)
    return api.AccessToken(KEY, secret).with_identity(identity).with_grants(video).to_jwt()


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class LiveKitServer:
    """One node. :meth:`start`, and :meth:`kill` or :meth:`stop`, any number of times.

    Args:
        redis_port: With others at the same Redis it is one service.
        media_ip: Where it tells clients to send; with another than 127.0.0.1, a relay stands there
            and passes it on.
    """

    def __init__(self, *, redis_port: int | None = None, media_ip: str = "127.0.0.1") -> None:
        self._path = server_path()
        self.port = free_port()
        self.media_port = free_port(socket.SOCK_DGRAM)
        self._media_ip = media_ip
        self._redis_port = redis_port
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="livekit-")

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (Path(self._folder.name) / "log").read_text()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        folder = Path(self._folder.name)
        (folder / "config.yaml").write_text(self._configuration())
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._path, "--config", str(folder / "config.yaml")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_S
        while True:
            assert self._process.poll() is None, f"the LiveKit server ended at once: {self.log}"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as an operator does."""
        self._end(lambda process: process.terminate())

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(lambda process: process.kill())

    def remove(self) -> None:
        self.kill()
        self._folder.cleanup()

    def _end(self, how: Any) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        how(process)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _configuration(self) -> str:
        # tcp_port would have it listen on other interfaces; and without a STUN server of its own,
        # it names some on the internet to its clients.
        lite = "true" if self._media_ip != "127.0.0.1" else "false"
        lines = [
            f"port: {self.port}",
            'bind_addresses: ["127.0.0.1"]',
            "rtc:",
            f"  udp_port: {self.media_port}",
            "  tcp_port: 0",
            f"  node_ip: {self._media_ip}",
            "  use_external_ip: false",
            f"  use_ice_lite: {lite}",
            "  enable_loopback_candidate: true",
            '  stun_servers: ["127.0.0.1:9"]',
            "  interfaces: {includes: [lo]}",
            "turn: {enabled: false}",
            f'keys: {{{KEY}: "{SECRET}"}}',
            "logging: {level: info, json: false}",
            "room: {auto_create: true, empty_timeout: 30, departure_timeout: 5}",
        ]
        if self._redis_port is not None:
            lines.append(f'redis: {{address: "127.0.0.1:{self._redis_port}"}}')
        return "\n".join(lines) + "\n"


@contextmanager
def livekit_server(**options: Any) -> Iterator[LiveKitServer]:
    """A server that runs until the block is left."""
    server = LiveKitServer(**options)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@contextmanager
def redis_server() -> Iterator[int]:
    """A Redis of our own, which keeps nothing; its port."""
    port = free_port()
    try:
        process = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
            stdout=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        pytest.skip("there is no Redis on this machine: apt-get install redis-server")
    try:
        deadline = time.monotonic() + _START_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


async def until(condition: Any, *, within_s: float = 60.0) -> None:
    """Wait until something is true that nobody tells of."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
