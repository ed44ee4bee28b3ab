"""Debian's ``redis-server``, started for a test on a free port of the loopback interface."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class RedisServer:
    """One, which can be away for a while: what it holds is lost then, since it keeps no file."""

    def __init__(self, directory: Path, password: str = "") -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("needs redis-server (apt-get install redis-server)")
        self._program = program
        self._directory = directory
        self._password = ["--requirepass", password] if password else []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Go on when it answers."""
        self._process = subprocess.Popen(
            [
                *(self._program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""),
                *self._password,
            ],
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, "redis-server does not answer"
                assert self._process.poll() is None, "redis-server ended"
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it; it forgets everything. Any number of times."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(60)

    def freeze(self) -> None:
        """It is there, and does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(directory: Path, password: str = "") -> Iterator[RedisServer]:
    """A running one, ended when the block is left."""
    server = RedisServer(directory, password)
    server.start()
    try:
        yield server
    finally:
        server.stop()
