"""10. Recording a room of many: the process that records it, beside Janus's AudioBridge.

``roomtape record`` joins the embedded server's room. Janus, where it is installed, mixes the same
speech and records the mix to a WAV file; it also sends everybody the mix of the others, which is
what it is there for, and no recorder needs.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from common import HERE, PYTHON, Row, folder, in_turn

_COUNT = 8
_SETTLED_S = 4.0
_BAR = 0.6
_TRACKS_BAR = 60
_JANUS = """
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{plugins}/plugins"
  transports_folder = "{plugins}/transports"
  events_folder = "{folder}"
  loggers_folder = "{folder}"
  debug_level = 2
}}
transports: {{ disable = "{transports}" }}
plugins: {{ disable = "{others}" }}
"""
_JANUS_HTTP = """
general: {{ json = "compact", http = true, ip = "127.0.0.1", port = {port}, https = false }}
admin: {{ admin_http = false }}
"""


def run(quick: bool) -> Iterator[Row]:
    runs, seconds = (3, 8) if quick else (5, 20)
    with folder() as where:
        ours = partial(_recorded, where, seconds)
        what = f"recording a room of {_COUNT} to AAC, 32 kHz"
        if shutil.which("janus") is None:
            cost, base = in_turn(runs, ours, partial(_recorded, where, seconds, 1))
            yield Row("room", what, 100 * cost, _UNIT)
        else:
            peer = partial(_bridged, where, seconds)
            cost, janus, base = in_turn(runs, ours, peer, partial(_recorded, where, seconds, 1))
            against = f"Janus AudioBridge, {_COUNT} in the room"
            holds = cost <= _BAR * janus
            yield Row("room", what, 100 * cost, _UNIT, 100 * janus, against, f"<= {_BAR}", holds)
        tracks = 1 + (1 - base) * (_COUNT - 1) / (cost - base)
        yield Row(
            "room",
            f"tracks a core, by rooms of 1 and of {_COUNT}",
            tracks,
            "tracks",
            bar=f">= {_TRACKS_BAR}",
            holds=tracks >= _TRACKS_BAR,
        )


_UNIT = "% of a core"


def _recorded(where: Path, seconds: float, count: int = _COUNT) -> float:
    """What part of a core ``roomtape record`` takes."""
    url = f"http://127.0.0.1:{_free_port()}"
    output = where / "room.aac"
    port = url.rpartition(":")[2]
    with _running([PYTHON, "-m", "roomtape", "serve", "--port", port]):
        time.sleep(2)
        with _running([PYTHON, "-m", "roomtape", "record", f"{url}/room", "-o", output]) as it:
            time.sleep(2)
            with _people([PYTHON, HERE / "room_child.py", url, "room", str(count)]):
                share = _cpu_share(it.pid, seconds)
    output.unlink()
    return share


def _bridged(where: Path, seconds: float) -> float:
    """What part of a core Janus takes."""
    port, recording = _free_port(), where / "janus.wav"
    plugins = next(Path("/usr/lib").glob("*/janus"))
    config = _JANUS.format(
        folder=where,
        plugins=plugins,
        transports=_all_but("http", plugins / "transports"),
        others=_all_but("audiobridge", plugins / "plugins"),
    )
    (where / "janus.jcfg").write_text(config)
    (where / "janus.transport.http.jcfg").write_text(_JANUS_HTTP.format(port=port))
    with _running(["janus", "-F", where, "-C", where / "janus.jcfg"]) as it:
        time.sleep(2)
        url = f"http://127.0.0.1:{port}/janus"
        with _people([PYTHON, HERE / "janus_child.py", url, str(_COUNT), recording]):
            share = _cpu_share(it.pid, seconds)
    if recording.stat().st_size < seconds * 48000:
        raise RuntimeError("Janus recorded next to nothing")
    recording.unlink()
    return share


def _all_but(one: str, folder: Path) -> str:
    return ",".join(each.name for each in folder.glob("*.so") if one not in each.name)


def _cpu_share(pid: int, seconds: float) -> float:
    def cpu_s() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    time.sleep(_SETTLED_S)
    cpu, wall = cpu_s(), time.monotonic()
    time.sleep(seconds)
    return (cpu_s() - cpu) / (time.monotonic() - wall)


@contextmanager
def _running(command: Sequence[str | Path]) -> Iterator[subprocess.Popen[bytes]]:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        list(map(str, command)), stdin=quiet, stdout=quiet, stderr=quiet, env=env
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)


@contextmanager
def _people(command: Sequence[str | Path]) -> Iterator[None]:
    pipe = subprocess.PIPE
    quiet = subprocess.DEVNULL  # aioice is loud when many leave at once
    with subprocess.Popen(
        list(map(str, command)), stdin=pipe, stdout=pipe, stderr=quiet
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != b"joined\n":
                raise RuntimeError(f"{command[1]}: nobody came into the room")
            yield
        finally:
            process.stdin.close()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
