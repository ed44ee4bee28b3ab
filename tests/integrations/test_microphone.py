"""The example of a microphone, on a PulseAudio of our own that plays into it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.damage import write_wav
from support.lag import Lag
from support.processes import stop
from support.readers import read_all
from support.signals import speech
from support.words import assert_each_in_place, find_words, place_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "integrations" / "microphone.py"


@asynccontextmanager
async def pulse(home: Path) -> AsyncIterator[dict[str, str]]:
    """A sound server without a device: what is played is what the microphone hears. Gives the
    environment in which programs find it."""
    for program in ("pulseaudio", "paplay"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on this machine: apt install {program}")
    socket = home / "native"
    (home / ".asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "PULSE_SERVER": f"unix:{socket}",
        "PULSE_SOURCE": "loud.monitor",
    }
    modules = [
        f"module-native-protocol-unix socket={socket} auth-anonymous=1",
        "module-null-sink sink_name=loud rate=48000 channels=1",
    ]
    loaded = [word for module in modules for word in ("-L", module)]
    options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm", "--use-pid-file=no"]
    with subprocess.Popen(  # noqa: ASYNC220 (it starts within milliseconds)
        ["pulseaudio", *options, *loaded], stderr=subprocess.DEVNULL, env=environment
    ) as server:
        try:
            async with asyncio.timeout(60):
                while not socket.exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            yield environment
        finally:
            await asyncio.to_thread(stop, server)


@pytest.mark.realtime
async def test_each_word_of_a_microphone_is_recorded(tmp_path: Path, lag: Lag) -> None:
    voice = write_wav(tmp_path / "voice.wav", speech("carol", 5.0))
    call = tmp_path / "call.wav"
    async with pulse(tmp_path) as environment:
        recording = await asyncio.create_subprocess_exec(
            *(sys.executable, EXAMPLE, call),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert recording.stdin is not None
        assert recording.stdout is not None
        async with asyncio.timeout(120):
            assert b"Recording at" in await recording.stdout.readline()
            player = await asyncio.create_subprocess_exec("paplay", voice, env=environment)
            assert await player.wait() == 0
            await asyncio.sleep(0.5)
            recording.stdin.write(b"\n")
            assert b"call.wav" in await recording.stdout.readline()
            assert await recording.wait() == 0
    report = json.loads(call.with_name("call.wav.json").read_text())
    (me,) = report["sources"]
    assert me["local"]
    assert me["lost_s"] <= lag.late_s
    assert me["late_s"] <= lag.late_s
    pcm, rate_hz = read_all(call)
    # When PulseAudio began to play it, nobody says: where all of it stands, it must stand together.
    said = speech("carol", 5.0, rate_hz)
    found = find_words(said, pcm, rate_hz, begins_s=place_of(said, pcm, rate_hz))
    assert_each_in_place(found, at_least=7, within_s=0.02 + lag.worst_s, alike=0.9)
