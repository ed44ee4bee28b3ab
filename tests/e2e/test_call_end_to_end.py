"""A whole call: participants in processes of their own, the real server, the real program."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

from roomtape.analysis.alignment import find_voice
from roomtape.media.voices import voice_path
from roomtape.types import Pcm
from support.browser import chromium
from support.damage import write_wav
from support.lag import Lag
from support.processes import SUPPORT, python_process, stop, tell
from support.program import start_roomtape
from support.readers import read_all
from support.serving import serving
from support.signals import offset_of, speech

pytestmark = [pytest.mark.network, pytest.mark.slow]

PRESENT, ABSENT = 0.25, 0.15
TOLERANCE_S = 0.1
LENGTH_S = 0.1


class Recording:
    """``roomtape record --json`` in a process of its own."""

    def __init__(self, url: str, path: Path, *options: str) -> None:
        self.path = path
        self.process = start_roomtape("record", f"{url}/standup", "-o", path, "--json", *options)
        self.events: list[dict[str, Any]] = []

    async def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait for an event."""
        assert self.process.stdout is not None
        async with asyncio.timeout(120):
            while True:
                line = await asyncio.to_thread(self.process.stdout.readline)
                assert line, self.process.stderr and self.process.stderr.read()
                event = json.loads(line)
                self.events.append(event)
                if condition(event):
                    return event

    async def until_joined(self, *uids: str) -> None:
        missing = {*uids} - {event.get("uid") for event in self.events}
        while missing:
            missing.discard((await self.until(lambda event: event["event"] == "joined"))["uid"])

    async def finish(self) -> dict[str, Any]:
        """Tell it to stop.

        Returns:
            The report.
        """
        self.process.terminate()
        event = await self.until(lambda event: event["event"] == "report")
        assert await asyncio.to_thread(self.process.wait, 120) == 0
        report: dict[str, Any] = event["report"]
        assert "error" not in [each["event"] for each in self.events]
        return report

    def close(self) -> None:
        stop(self.process)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def when(report: dict[str, Any]) -> float:
    """The UTC time of a recording's first sample."""
    return datetime.fromisoformat(report["started_at"]).timestamp()


async def say(talker: subprocess.Popen[str], voice: str) -> float:
    """Have a participant speak.

    Returns:
        When it began.
    """
    tell(talker, f"say {voice}")
    assert talker.stdout is not None
    _, said, at = (await asyncio.to_thread(talker.stdout.readline)).split()
    assert said == voice
    return float(at)


def assert_heard(pcm: Pcm, rate: int, voice: str, expected_s: float, within_s: float) -> None:
    """Both of our ways to look for a voice find it, and where it belongs."""
    said = speech(voice, None, rate)
    match = find_voice(pcm, said, rate)
    assert match.score > PRESENT, f"{voice} is missing ({match.score:.2f})"
    assert abs(match.offset_s - expected_s) <= within_s, f"{voice}: {match} for {expected_s}"
    offset_s, _ = offset_of(said, pcm, rate)
    assert abs(offset_s - expected_s) <= within_s, f"{voice}: {offset_s} for {expected_s}"


def assert_not_heard(pcm: Pcm, rate: int, voice: str) -> None:
    match = find_voice(pcm, speech(voice, None, rate), rate)
    assert match.score < ABSENT, f"{voice} is heard ({match.score:.2f})"


async def test_three_clients_in_three_processes_and_two_recordings_of_their_call(
    tmp_path: Path, lag: Lag
):
    async with AsyncExitStack() as stack:
        _, url = stack.enter_context(serving())
        # One that only listens, and one that speaks what is in a file while it records.
        remote = Recording(url, tmp_path / "remote.aac", "--name", "erin", "--position", "remote")
        stack.callback(remote.close)
        await remote.until(lambda event: event["event"] == "start")
        talker = str(SUPPORT / "talker.py")
        alice, bob = [
            await stack.enter_async_context(
                python_process(talker, url, "standup", uid, ready="joined")
            )
            for uid in ("alice", "bob")
        ]
        await remote.until_joined("alice", "bob")
        mixed = Recording(
            url,
            tmp_path / "mixed.wav",
            *("--name", "carol", "--sample-rate", "48000"),
            *("--speak", str(voice_path("carol")), "--report"),
        )
        stack.callback(mixed.close)
        await mixed.until(lambda event: event["event"] == "start")
        started = time.time()
        await mixed.until_joined("alice", "bob", "erin")
        await asyncio.sleep(1)  # for the connections, from which nothing is to be missing
        alice_at = await say(alice, "alice")
        await asyncio.sleep(2)
        bob_at = await say(bob, "bob")
        await asyncio.sleep(8)
        mixed_s = time.time() - started
        mixed_report, remote_report = await asyncio.gather(mixed.finish(), remote.finish())

    pcm, rate = read_all(mixed.path)
    assert rate == 48000
    within_s = TOLERANCE_S + lag.worst_s
    assert abs(len(pcm) / rate - mixed_s) < LENGTH_S + lag.worst_s
    assert len(pcm) / rate == mixed_report["duration_s"]
    assert_heard(pcm, rate, "alice", alice_at - when(mixed_report), within_s)
    assert_heard(pcm, rate, "bob", bob_at - when(mixed_report), within_s)
    carol = find_voice(pcm, speech("carol"), rate)
    assert carol.score > PRESENT
    assert -0.5 - lag.worst_s < carol.offset_s < within_s, "she began to speak when she joined"
    assert_not_heard(pcm, rate, "dave")
    by_name = {source["name"]: source for source in mixed_report["sources"]}
    assert {name: source["local"] for name, source in by_name.items()} == {
        "alice": False,
        "bob": False,
        "erin": False,
        "carol": True,
    }
    assert by_name["alice"]["lost_s"] < 0.1 + lag.late_s
    assert json.loads((tmp_path / "mixed.wav.json").read_text()) == mixed_report
    assert {"event": "recording", "uid": "erin", "recording": True}.items() <= next(
        event for event in mixed.events if event["event"] == "recording"
    ).items()

    far, far_rate = read_all(remote.path)
    assert far_rate == 32000
    assert 0 <= len(far) / far_rate - remote_report["duration_s"] < 0.04
    assert_heard(far, far_rate, "alice", alice_at - when(remote_report), within_s)
    assert_heard(far, far_rate, "bob", bob_at - when(remote_report), within_s)
    # Her first words come before anybody is connected to her; what was heard stands in its place.
    heard = find_voice(far, speech("carol", None, far_rate), far_rate)
    assert heard.score > PRESENT
    carol_at = when(mixed_report) + carol.offset_s
    assert abs(heard.offset_s - (carol_at - when(remote_report))) <= within_s
    assert_not_heard(far, far_rate, "dave")


@pytest.mark.browser
async def test_a_browser_whose_microphone_is_a_file_is_recorded(tmp_path: Path, lag: Lag):
    # A sentence and a pause, said again and again as a file is played to a microphone.
    sentence = np.concatenate([speech("carol", 4.0), np.zeros(48000, np.int16)])
    microphone = write_wav(tmp_path / "microphone.wav", sentence)
    with serving() as (_, url):
        recording = Recording(url, tmp_path / "browser.wav", "--sample-rate", "48000")
        try:
            await recording.until(lambda event: event["event"] == "start")
            started = time.time()
            query = urlencode({"room": "standup", "uid": "chrome", "autojoin": "", "raw": ""})
            async with chromium(f"{url}/?{query}", microphone=microphone) as page:
                await page.press_join()
                await page.until("document.querySelectorAll('#people li').length > 1")
                state = "document.querySelectorAll('#people li')[1].dataset.state"
                await page.until(f"{state} === 'connected'")
                connected = time.time()
                await asyncio.sleep(11)
                length_s = time.time() - started
                report = await recording.finish()
        finally:
            recording.close()
    pcm, rate = read_all(recording.path)
    assert abs(len(pcm) / rate - length_s) < 0.25 + lag.worst_s
    (chrome,) = report["sources"]
    assert chrome["name"] == "chrome"
    begin = round((connected - when(report) + 0.5) * rate)
    said = speech("carol", 4.0)
    # Two rounds of the sentence: each is there, and one is as far from the next as it was spoken.
    first_s, likeness = offset_of(said, pcm[begin : begin + 10 * rate], rate)
    assert likeness > 0.6, f"carol is missing ({likeness:.2f})"
    first = begin + round(first_s * rate)
    other = first + 5 * rate if first + 9 * rate < len(pcm) else first - 5 * rate
    window = pcm[max(0, other - rate // 2) : other + 4 * rate + rate // 2]
    again_s, likeness = offset_of(said, window, rate)
    assert likeness > 0.5, f"carol is there only once ({likeness:.2f})"
    assert abs(max(0, other - rate // 2) + again_s * rate - other) <= (0.1 + lag.worst_s) * rate
    for absent in ("alice", "bob", "dave"):
        assert_not_heard(pcm, rate, absent)
