"""Two machines that reach each other by nothing but a TURN server (coturn, a real one)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.processes import SUPPORT, python_process, stop
from support.readers import read_all
from support.recorded_call import assert_in_place, pieces
from support.room_listener import voice

pytestmark = [pytest.mark.network, pytest.mark.root]

DURATION_S = 8
BETWEEN = "10.213.80.1"
"""Of the machine between the two, which they both reach, and which passes nothing on by itself."""
SERVER = f"http://{BETWEEN}:8080"
TURN = f"turn:{BETWEEN}:3478"
SECRET = "north and south do not know each other"


@dataclass(frozen=True)
class Network:
    """Three network namespaces in a row."""

    west: str
    between: str
    east: str

    def within(self, name: str) -> tuple[str, ...]:
        """The command that runs a program in a namespace."""
        return ("ip", "netns", "exec", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def network() -> Iterator[Network]:
    """Skipped where a user may not make it, or has no coturn; CI has one."""
    if shutil.which("turnserver") is None:
        if os.environ.get("CI"):
            pytest.fail("there is no coturn, and CI must run this")
        pytest.skip("there is no TURN server on this machine (Debian: coturn)")
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and iproute2")
    made = Network(*(f"roomtape-{os.getpid()}-{name}" for name in ("west", "between", "east")))
    names = (made.west, made.between, made.east)
    try:
        try:
            for name in names:
                _ip("netns", "add", name)
                _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", made.between, "addr", "add", f"{BETWEEN}/32", "dev", "lo")
            for number, name in ((78, made.west), (79, made.east)):
                cable = f"cable{number}"
                _ip(*f"link add {cable} netns {made.between} type veth".split(),
                    *f"peer name cable netns {name}".split())  # fmt: skip
                for end, device, address in (
                    (made.between, cable, f"10.213.{number}.1/24"),
                    (name, "cable", f"10.213.{number}.2/24"),
                ):
                    _ip("-n", end, "addr", "add", address, "dev", device)
                    _ip("-n", end, "link", "set", device, "up")
                _ip("-n", name, "route", "add", "default", "via", f"10.213.{number}.1")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not possible here: {error.stderr.strip()}")
        switch = "echo 0 > /proc/sys/net/ipv4/ip_forward"
        subprocess.run([*made.within(made.between), "sh", "-c", switch], check=True)
        yield made
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@contextmanager
def coturn(network: Network, *authentication: str) -> Iterator[None]:
    """A TURN server between the two."""
    options = (
        f"-n --realm=roomtape --listening-ip={BETWEEN} --relay-ip={BETWEEN} --no-tls --no-dtls"
    )
    more = "--no-cli --no-rfc5780 --pidfile= --log-file=stdout --simple-log"
    with subprocess.Popen(
        [
            *network.within(network.between),
            "turnserver",
            *options.split(),
            *more.split(),
            *authentication,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.terminate()


async def record(
    network: Network, file: Path, *, server: tuple[str, ...] = (), recorder: tuple[str, ...] = ()
) -> float:
    """A recording in the west of a speaker in the east; how much came of him, in seconds."""
    serve = ("-m", "roomtape", "serve", "--host", BETWEEN, "--insecure", *server)
    speak = (str(SUPPORT / "room_client.py"), SERVER, "standup", "bob")
    tape = ("-m", "roomtape", "record", f"{SERVER}/standup", "-o", str(file), "--report", "--json")
    options = ("--sample-rate", "48000", "--duration", str(DURATION_S), *recorder)
    async with (
        python_process(*serve, ready="serving", inside=network.within(network.between)),
        python_process(*speak, ready="joined", inside=network.within(network.east)),
        python_process(
            *tape, *options, ready='{"event": "finish"', inside=network.within(network.west)
        ) as recording,
    ):
        assert stop(recording) == 0
    sources = json.loads(file.with_name(f"{file.name}.json").read_text())["sources"]
    return float(sum(source["received_s"] for source in sources))


async def test_without_a_turn_server_they_do_not_hear_each_other(
    network: Network, tmp_path: Path
) -> None:
    assert await record(network, tmp_path / "call.wav") == 0


@pytest.mark.parametrize("who_names_it", ["the room server", "the recorder"])
async def test_a_turn_server_brings_them_together(
    network: Network, tmp_path: Path, who_names_it: str
) -> None:
    file = tmp_path / "call.wav"
    if who_names_it == "the room server":
        with coturn(network, "--use-auth-secret", f"--static-auth-secret={SECRET}"):
            server = ("--ice-server", TURN, "--turn-secret", SECRET)
            received_s = await record(network, file, server=server)
    else:
        own = TURN.replace("turn:", "turn:alice:wonder%20land@")
        with coturn(network, "--lt-cred-mech", "--user=alice:wonder land"):
            received_s = await record(network, file, recorder=("--ice-server", own))
    assert received_s > DURATION_S / 2
    pcm, _ = read_all(file)
    found = pieces(pcm, voice("bob", 30), start_s=DURATION_S - received_s + 1)
    assert_in_place(found, at_least=len(found) - 2)
