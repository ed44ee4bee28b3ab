"""A long call full of faults: ``python -m soak [--minutes N] [--seed S]`` (``make soak``).

One engine records a room in real time, one recording after the other, in every format. Meanwhile
participants (each a process of its own) join, leave, stall, mute themselves and are killed;
packets are lost, delayed, reordered and doubled; WebSockets drop and the server is restarted.
Every file is checked as soon as it is finished. Memory, threads, descriptors and tasks are printed
each minute. Exits 1 if anything was wrong.
"""

# ruff: noqa: T201 (it prints what it does)

from __future__ import annotations

import argparse
import asyncio
import gc
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random, SystemRandom

from aiortc import RTCPeerConnection

from roomtape import RtcEngine
from roomtape.media.local_audio import FileAudio
from roomtape.media.voices import voice_path
from roomtape.rooms import WebRtcRoom
from roomtape.rooms.rtp.receive import RemoteAudio
from roomtape.server.app import RoomServer
from support.relay import Relay

from .figures import MOST_GROWTH_MIB, Figures, growth_mib, most_grown, objects
from .harm import Harm
from .lag import Lag
from .log import Log
from .recordings import Recordings
from .speakers import Speakers

CHANNEL, RECORDER = "soak", "recorder"
SETTLE_S = 12.0
EVERY_S = 60.0
HEARD_SHARE = 0.5
"""Of the time that speakers were present; the rest are mutes, outages, kills and connecting."""


async def soak(minutes: float, seed: int, directory: Path) -> list[str]:
    """The whole; what was wrong."""
    log, lag, server = Log(), Lag(), RoomServer("127.0.0.1", 0)
    await server.start()
    async with Relay(server.url, seed=seed) as relay:
        engine = RtcEngine(WebRtcRoom(relay.url))
        recordings = Recordings(
            engine, directory, chance=Random(f"{seed} recordings"), lag=lag, log=log
        )
        engine.set_event_callback(recordings)
        await engine.set_local_audio(FileAudio(voice_path("alice"), loop=True))
        assert await engine.join_channel(None, CHANNEL, RECORDER) == 0
        speakers = Speakers(CHANNEL, Random(f"{seed} speakers"), log)
        chance = Random(f"{seed} harm")
        harm = Harm(server, relay, speakers, recorder=RECORDER, chance=chance, log=log)
        log.say("nobody is here yet")
        start = Figures.now()
        log.say(f"start: {start}")
        seen = await _play(time.monotonic() + minutes * 60, recordings, harm, lag, log)
        for uid in speakers.present:
            await speakers.leave(uid)
        await asyncio.sleep(SETTLE_S)
        end = Figures.now()
        log.say("everybody has left")
        log.say(f"start: {start}")
        log.say(f"end:   {end}")
        _judge(start, seen, end, recordings, log)
        await engine.release()
    await harm.server.stop()
    log.say(
        f"{recordings.checked} recordings of {recordings.recorded_s / 60:.1f} min, speakers heard "
        f"for {recordings.heard_s:.0f} of {recordings.present_s:.0f} s; faults: "
        + ", ".join(f"{count} x {name}" for name, count in sorted(harm.done.items()))
    )
    return log.violations


async def _play(
    end_s: float, recordings: Recordings, harm: Harm, lag: Lag, log: Log
) -> list[Figures]:
    """Until the time is over; gives the figures of each minute."""
    seen: list[Figures] = []
    length_s = end_s - time.monotonic()

    async def look() -> None:
        third_s, before = end_s - 2 * length_s / 3, None
        while True:
            await asyncio.sleep(min(EVERY_S, length_s / 9))
            worst_ms, lag.worst_s = 1000 * lag.worst_s, 0.0
            seen.append(Figures.now())
            log.say(
                f"{seen[-1]}; {recordings.checked} recordings checked; event loop at most "
                f"{worst_ms:.0f} ms late"
            )
            if time.monotonic() >= third_s:
                before = before or objects()
                log.say(f"more objects than at a third: {most_grown(before, objects())}")

    recording = asyncio.create_task(recordings.go_on(end_s))
    others = [asyncio.create_task(work) for work in (harm.go_on(), lag.watch(), look())]
    try:
        await asyncio.wait([recording, *others], return_when=asyncio.FIRST_COMPLETED)
    finally:
        tasks = [recording, *others, *harm.phases]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                log.violate(f"the soak itself failed: {result!r}")
    return seen


def _judge(
    start: Figures, seen: list[Figures], end: Figures, recordings: Recordings, log: Log
) -> None:
    left_over = Counter(
        type(each).__name__
        for each in gc.get_objects()
        if isinstance(each, RTCPeerConnection | RemoteAudio)
    )
    if left_over:
        log.violate(f"calls are over, their objects are not: {dict(left_over)}")
    # The pools for disks and names have their threads by now.
    if end.threads > start.threads + 40 or end.tasks > start.tasks + 2:
        log.violate(f"threads or tasks are left over: {start} became {end}")
    if end.descriptors > start.descriptors + 8:
        log.violate(f"descriptors are left open: {start} became {end}")
    grown = growth_mib(seen)
    log.say(f"memory grew by {grown:.1f} MiB from the middle third to the last")
    if grown > MOST_GROWTH_MIB:
        log.violate(f"memory grows: by {grown:.1f} MiB from the middle third to the last")
    if recordings.heard_s < HEARD_SHARE * recordings.present_s:
        log.violate(f"heard only {recordings.heard_s:.0f} of {recordings.present_s:.0f} s")


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        print("ffmpeg is needed to check the files: install it")
        return 2
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    with tempfile.TemporaryDirectory(prefix="roomtape-soak-") as directory:
        violations = asyncio.run(soak(options.minutes, options.seed, Path(directory)))
        # Files that were checked and right are gone; what a failed check kept is shown by it.
        left = sorted(each.name for each in Path(directory).iterdir())
        if left and not violations:
            violations.append(f"left behind: {left}")
    print(f"seed {options.seed}: {len(violations)} violations")
    for violation in violations:
        print(f"  {violation}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
