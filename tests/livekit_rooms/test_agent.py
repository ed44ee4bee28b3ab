"""The example of an agent, with the real livekit-agents, which wants an SDK of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from roomtape.analysis.alignment import find_voice
from roomtape.media.voices import load_voice
from support.livekit_call import Talkers, talkers
from support.livekit_server import KEY, SECRET, LiveKitServer, until
from support.readers import read_all

# LiveKit's SDK squeezes and conceals what comes late, and its agents miss calls on a busy machine.
pytestmark = [pytest.mark.network, pytest.mark.alone]

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-agents/bin/python"
EXAMPLE = ROOT / "examples/livekit_agent.py"
PATIENCE_S = 180.0
CALLS = 6
ANSWERS_WITHIN_S = 20.0


@asynccontextmanager
async def agent(server: LiveKitServer, folder: Path) -> AsyncIterator[None]:
    """The example, ready to be called."""
    if not (ROOT / ".venv-agents/ready").exists():
        pytest.skip("there is no livekit-agents on this machine: make agents")
    key = {"LIVEKIT_URL": server.url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
    registered = "worker registered"
    before = server.log.count(registered)  # by the agent of a test that is tried again
    # It takes no calls on a busy machine, but for a developer.
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, EXAMPLE, "dev", "--no-reload"),
        env={**os.environ, **key, "RECORDINGS": str(folder)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: server.log.count(registered) > before, within_s=PATIENCE_S)
        yield
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def answered_call(server: LiveKitServer, whole: Path, attempt: int) -> AsyncIterator[Talkers]:
    """A call that the agent has taken. The server offers it a room once, when that begins; on a
    busy machine it may do so in vain."""
    for number in range(CALLS):
        async with talkers(server, f"call-{attempt}-{number}", "alice") as caller:
            with suppress(TimeoutError):
                await until(whole.exists, within_s=ANSWERS_WITHIN_S)
            if whole.exists():  # noqa: ASYNC240 (a moment)
                yield caller
                return
    pytest.fail("the agent took no call")


async def test_an_agent_keeps_both_sides_of_a_call_and_its_last_minute_on_demand(
    server: LiveKitServer, tmp_path: Path, attempt: int
) -> None:
    whole, minute = tmp_path / "call.aac", tmp_path / "last-minute.aac"
    async with agent(server, tmp_path), answered_call(server, whole, attempt) as caller:
        await asyncio.sleep(1.0)
        caller.say("alice", "alice", 5.0)
        await caller.has_said("alice", "alice")
        await asyncio.sleep(6.0)
        await caller.do("alice", "send keep")
        await until(minute.exists, within_s=PATIENCE_S)
        assert not whole.with_suffix(".aac.json").exists(), "the call goes on"
        await caller.do("alice", "leave")
        await until(whole.with_suffix(".aac.json").exists, within_s=PATIENCE_S)
    for path in (whole, minute):
        pcm, rate_hz = read_all(path)
        for voice in ("alice", "carol"):  # the caller's, and the agent's
            # The SDK squeezes and conceals what comes late.
            assert find_voice(pcm, load_voice(voice, rate_hz), rate_hz).score > 0.15, voice
