"""Two machines, as far as the kernel is concerned, and the cable between them is pulled."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.lag import Lag
from support.processes import SUPPORT, python_process, stop
from support.readers import read_all
from support.recorded_call import assert_in_place, pieces
from support.room_listener import voice

pytestmark = [pytest.mark.network, pytest.mark.root]

DURATION_S = 14
DOWN_S = 3.0
HERE, THERE = "10.213.77.1", "10.213.77.2"
SERVER = f"http://{HERE}:8080"


@dataclass(frozen=True)
class Machine:
    """A network namespace."""

    name: str

    @property
    def shell(self) -> tuple[str, ...]:
        """The command that runs a program in it.

        Not ``ip netns exec``: that copies all mounts for the program, and a disk that another test
        unmounts meanwhile would stay mounted there.
        """
        return ("nsenter", f"--net=/run/netns/{self.name}")

    def link(self, device: str, state: str) -> None:
        _ip("-n", self.name, "link", "set", device, state)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    """Two of them, joined by one cable. Skipped where a user may not do that."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and iproute2")
    here, there = (Machine(f"roomtape-{os.getpid()}-{end}") for end in ("here", "there"))
    try:
        try:
            for machine in (here, there):
                _ip("netns", "add", machine.name)
            _ip(
                *f"link add cable netns {here.name} type veth".split(),
                *f"peer name cable netns {there.name}".split(),
            )
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not possible here: {error.stderr.strip()}")
        for machine, address in ((here, HERE), (there, THERE)):
            _ip("-n", machine.name, "addr", "add", f"{address}/24", "dev", "cable")
            machine.link("lo", "up")
            machine.link("cable", "up")
        yield here, there
    finally:
        for machine in (here, there):
            subprocess.run(["ip", "netns", "del", machine.name], check=False, capture_output=True)


async def record(here: Machine, there: Machine, file: Path) -> list[dict[str, Any]]:
    """Record a speaker on another machine while the cable is pulled; what the program told."""
    serve = ("-m", "roomtape", "serve", "--host", HERE, "--insecure")
    speak = (str(SUPPORT / "room_client.py"), SERVER, "standup", "bob")
    tape = ("-m", "roomtape", "record", f"{SERVER}/standup", "-o", str(file), "--report", "--json")
    options = ("--sample-rate", "48000", "--duration", str(DURATION_S))
    async with (
        python_process(*serve, ready="serving", inside=here.shell),
        python_process(*speak, ready="joined", inside=there.shell),
        python_process(*tape, *options, ready='{"event": "start"', inside=here.shell) as recorder,
    ):
        await asyncio.sleep(5.0)
        there.link("cable", "down")
        await asyncio.sleep(DOWN_S)
        there.link("cable", "up")
        assert recorder.stdout is not None
        told = await asyncio.to_thread(recorder.stdout.read)
        assert await asyncio.to_thread(stop, recorder) == 0
    return [json.loads(line) for line in told.splitlines()]


async def test_a_call_and_its_recording_survive_a_pulled_cable(
    machines: tuple[Machine, Machine], tmp_path: Path, lag: Lag
) -> None:
    file = tmp_path / "call.wav"
    told = await record(*machines, file)
    names = [event["event"] for event in told]
    assert names[0] == "finish"
    assert "left" not in names, "bob was there to the end"
    pcm, rate_hz = read_all(file)
    assert rate_hz == 48000
    assert len(pcm) / rate_hz == pytest.approx(DURATION_S, abs=0.1 + lag.worst_s)
    (bob,) = json.loads(file.with_name("call.wav.json").read_text())["sources"]
    ((start_s, end_s),) = [
        (each["start_s"], each["end_s"])
        for each in bob["intervals"]
        if each["kind"] == "stalled" and each["end_s"] > 3
    ]
    margin_s = 0.3 + lag.worst_s
    assert start_s == pytest.approx(5.0, abs=margin_s)
    # The kernel may hold the first packets back until it has the other's address again (ARP).
    assert end_s - start_s == pytest.approx(DOWN_S, abs=margin_s)
    assert bob["lost_s"] == pytest.approx(end_s - start_s, abs=0.1 + lag.worst_s)
    found = pieces(pcm, voice("bob", 30), start_s=2.0)
    assert_in_place(found, at_least=len(found) - 2, within_s=0.020 + lag.worst_s)
    assert max(piece.at_s for piece in found) > end_s + 2
