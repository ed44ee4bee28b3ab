"""A long call full of faults: ``python tests/soak.py [--minutes N] [--seed S]`` (``make soak``).

One engine records a room in real time, one recording after the other, in every format. Meanwhile
participants (each a process of its own) join, leave, stall, mute themselves and are killed;
packets are lost, delayed, reordered and doubled; WebSockets drop and the server is restarted.
Every file is checked as soon as it is finished. Memory, threads, descriptors and tasks are printed
as the time goes by. Exits 1 if anything was wrong.
"""

# ruff: noqa: T201 (it prints what it does)

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from aiortc import RTCPeerConnection

from roomtape import (
    AudioRecordingCode,
    AudioRecordingConfiguration,
    ChannelEventCallback,
    RecordingReport,
    RtcEngine,
)
from roomtape.local_audio import FileAudio
from roomtape.rooms import WebRtcRoom
from roomtape.rooms.webrtc_receive import RemoteAudio
from roomtape.server.app import RoomServer
from roomtape.voices import voice_path
from support.processes import SUPPORT
from support.readers import read_ffmpeg
from support.relay import Relay

CHANNEL, RECORDER = "soak", "recorder"
NAMES = tuple(f"speaker {number}" for number in range(1, 7))
MOST_SPEAKERS = 3
"""Each hears each: with the recorder, twelve streams; more would measure this machine."""
NAME_FREE_S = 12.0
"""The server holds the seat of who vanished for up to 8.75 s."""
TOLERANCE_S = 0.020
AAC_FRAME = 1024
SETTLE_S = 12.0
HEARD_SHARE = 0.5
"""Of the time that speakers were present; the rest are mutes, outages, kills and connecting."""
MOST_GROWTH_MIB = 48
"""From a third of the time on, when all caches are full."""


@dataclass(frozen=True)
class Figures:
    """What this process holds."""

    rss_mib: float
    threads: int
    descriptors: int
    tasks: int

    @classmethod
    def now(cls) -> Figures:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20),
            threading.active_count(),
            len(os.listdir("/proc/self/fd")),  # noqa: PTH208 (names are enough)
            len(asyncio.all_tasks()),
        )

    def __str__(self) -> str:
        return (
            f"memory {self.rss_mib:.1f} MiB, {self.threads} threads, "
            f"{self.descriptors} descriptors, {self.tasks} tasks"
        )


@dataclass
class Take:
    """One recording: when it began and ended, as the engine's callback tells."""

    config: AudioRecordingConfiguration
    started_s: float = 0.0
    stop_called_s: float = 0.0
    finished_s: float = 0.0
    lag_s: float = 0.0
    codes: list[AudioRecordingCode] = field(default_factory=list)
    report: RecordingReport | None = None


class Events(ChannelEventCallback):
    def __init__(self, soak: Soak) -> None:
        self._soak = soak

    def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        take = self._soak.takes[file_path]
        take.codes.append(code)
        if code is AudioRecordingCode.START:
            take.started_s = time.monotonic()
        else:
            take.finished_s = time.monotonic()
            take.report = self._soak.engine.last_recording_report

    def on_audio_recording_warning(self, code: object, detail: str) -> None:
        self._soak.say(f"warning: {detail}")

    def on_disconnect(self, reason: str) -> None:
        self._soak.violate(f"the room was lost: {reason}")


class Soak:
    def __init__(self, minutes: float, seed: int, directory: Path) -> None:
        self._begin_s = time.monotonic()
        self._end_s = self._begin_s + minutes * 60
        self._seed = seed
        self._directory = directory
        self._random = random.Random(seed)
        self.takes: dict[str, Take] = {}
        self.engine: RtcEngine
        self._relay: Relay
        self._server = RoomServer("127.0.0.1", 0)
        self._server_lock = asyncio.Lock()
        self._speakers: dict[str, asyncio.subprocess.Process] = {}
        self._vanished_s: dict[str, float] = {}
        self._muted: set[str] = set()
        self._phases: set[asyncio.Task[None]] = set()
        self._lag_s = 0.0
        self._worst_lag_s = 0.0
        self._violations: list[str] = []
        self._done: Counter[str] = Counter()
        self._checked = 0
        self._recorded_s = 0.0
        self._present_s = 0.0
        self._heard_s = 0.0

    # -- telling ------------------------------------------------------------------------------

    def say(self, words: str) -> None:
        print(f"{time.monotonic() - self._begin_s:7.1f} s  {words}", flush=True)

    def violate(self, words: str) -> None:
        self._violations.append(words)
        self.say(f"VIOLATION: {words}")

    # -- the whole ----------------------------------------------------------------------------

    async def run(self) -> int:
        await self._server.start()
        async with Relay(self._server.url, seed=self._seed) as relay:
            self._relay = relay
            self.engine = RtcEngine(WebRtcRoom(relay.url))
            self.engine.set_event_callback(Events(self))
            await self.engine.set_local_audio(FileAudio(voice_path("alice"), loop=True))
            assert await self.engine.join_channel(None, CHANNEL, RECORDER) == 0
            self.say("nobody is here yet")
            start = Figures.now()
            self.say(f"start: {start}")
            middle = await self._play()
            for uid in tuple(self._speakers):
                await self._leave(uid)
            await asyncio.sleep(SETTLE_S)
            gc.collect()
            end = Figures.now()
            self.say("everybody has left")
            self.say(f"start: {start}")
            self.say(f"end:   {end}")
            self._judge(start, middle, end)
            await self.engine.release()
        await self._server.stop()
        self.say(
            f"{self._checked} recordings of {self._recorded_s / 60:.1f} min, speakers heard for "
            f"{self._heard_s:.0f} of {self._present_s:.0f} s; faults: "
            + ", ".join(f"{count} x {name}" for name, count in sorted(self._done.items()))
        )
        print(f"seed {self._seed}: {len(self._violations)} violations")
        for violation in self._violations:
            print(f"  {violation}")
        return 1 if self._violations else 0

    async def _play(self) -> Figures:
        """Until the time is over; gives the figures of a third of it."""
        tasks = [
            asyncio.create_task(work())
            for work in (self._record, self._harm, self._watch_lag, self._report)
        ]
        middle = Figures.now()
        try:
            third_s = (self._end_s - time.monotonic()) / 3
            await asyncio.sleep(third_s)
            middle = Figures.now()
            await asyncio.sleep(2 * third_s)
            await tasks[0]  # the last recording is finished and checked
        finally:
            for task in (*tasks, *self._phases):
                task.cancel()
            for result in await asyncio.gather(*tasks, *self._phases, return_exceptions=True):
                if isinstance(result, Exception):
                    self.violate(f"the soak itself failed: {result!r}")
        return middle

    def _judge(self, start: Figures, middle: Figures, end: Figures) -> None:
        left_over = Counter(
            type(each).__name__
            for each in gc.get_objects()
            if isinstance(each, RTCPeerConnection | RemoteAudio)
        )
        if left_over:
            self.violate(f"calls are over, their objects are not: {dict(left_over)}")
        # The pools for disks and names have their threads by now.
        if end.threads > start.threads + 40 or end.tasks > start.tasks + 2:
            self.violate(f"threads or tasks are left over: {start} became {end}")
        if end.descriptors > start.descriptors + 8:
            self.violate(f"descriptors are left open: {start} became {end}")
        if end.rss_mib > middle.rss_mib + MOST_GROWTH_MIB:
            self.violate(f"memory grows: {middle.rss_mib:.0f} became {end.rss_mib:.0f} MiB")
        if self._heard_s < HEARD_SHARE * self._present_s:
            self.violate(f"heard only {self._heard_s:.0f} of {self._present_s:.0f} s")

    async def _report(self) -> None:
        every_s = min(180.0, (self._end_s - self._begin_s) / 6)
        while True:
            await asyncio.sleep(every_s)
            worst_ms, self._worst_lag_s = 1000 * self._worst_lag_s, 0.0
            self.say(
                f"{Figures.now()}; {self._checked} recordings checked; event loop at most "
                f"{worst_ms:.0f} ms late"
            )

    async def _watch_lag(self) -> None:
        """How late this process's event loop has been in the last seconds."""
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(0.01)
            late_s = time.monotonic() - before_s - 0.01
            self._lag_s = max(self._lag_s * 0.995, late_s)
            self._worst_lag_s = max(self._worst_lag_s, late_s)

    # -- recordings ---------------------------------------------------------------------------

    async def _record(self) -> None:
        checks: list[asyncio.Task[None]] = []
        running: Take | None = None
        while time.monotonic() < self._end_s:
            take = self._next_take()
            if running is not None:
                running.stop_called_s = time.monotonic()
            code = await self.engine.start_audio_recording_with_config(take.config)
            if code != 0:
                self.violate(f"a recording could not start: {self.engine.last_error}")
                return
            if running is not None:
                checks.append(asyncio.create_task(self._check(running, replaced=True)))
            long = self._random.random() < 0.15
            await asyncio.sleep(self._random.uniform(40, 100) if long else 4 + 15 * self._share())
            running = take
            if self._random.random() < 0.7:
                await self._stop(take)
                checks.append(asyncio.create_task(self._check(take, replaced=False)))
                running = None
                await asyncio.sleep(self._random.uniform(0, 2))
        if running is not None:
            await self._stop(running)
            await self._check(running, replaced=False)
        await asyncio.gather(*checks)

    def _share(self) -> float:
        return self._random.random()

    def _next_take(self) -> Take:
        number = len(self.takes) + 1
        suffix = self._random.choice((".wav", ".aac"))
        config = AudioRecordingConfiguration(
            self._directory / f"{number:04}{suffix}",
            sample_rate=self._random.choice((16000, 32000, 44100, 48000)),
            quality=self._random.choice((0, 1, 2)),
            position=self._random.choice((0, 0, 1, 2)),
            cycle_time=self._random.choice((0, 0, 10, 60)),
            report=True,
        )
        take = self.takes[str(config.path)] = Take(config)
        return take

    async def _stop(self, take: Take) -> None:
        self._lag_s = 0.0
        await asyncio.sleep(0)
        take.stop_called_s = time.monotonic()
        if await self.engine.stop_audio_recording() != 0:
            self.violate(f"{take.config.path.name}: {self.engine.last_error}")

    async def _check(self, take: Take, *, replaced: bool) -> None:
        take.lag_s = self._lag_s
        try:
            wrong = await asyncio.to_thread(wrong_with, take, replaced=replaced)
        except Exception as error:
            wrong = [f"cannot be checked: {error!r}"]
        for each in wrong:
            self.violate(f"{take.config.path.name}: {each}")
        self._checked += 1
        report = take.report
        if report is not None and not wrong:
            self._recorded_s += take.stop_called_s - take.started_s
            if not take.config.cycle_time and take.config.position != 1:
                for source in report.sources:
                    if not source.local:
                        self._present_s += source.left_s - source.joined_s
                        self._heard_s += source.received_s
            take.config.path.unlink()
            take.config.path.with_name(f"{take.config.path.name}.json").unlink()
        take.report = None

    # -- harm ---------------------------------------------------------------------------------

    async def _harm(self) -> None:
        while True:
            if len(self._speakers) < MOST_SPEAKERS and self._share() < 0.6:
                await self._join()
            elif self._speakers:
                harm = self._random.choice(
                    (self._leave, self._kill, self._mute, self._mute, self._stall)
                    + (self._degrade,) * 4
                    + (self._drop_websocket, self._restart_server)
                )
                uid = self._random.choice(tuple(self._speakers))
                self._done[harm.__name__.strip("_").replace("_", " ")] += 1
                await harm(uid)
            await asyncio.sleep(self._random.uniform(0.5, 4.0))
            self._notice_crashes()

    async def _join(self) -> None:
        now_s = time.monotonic()
        free = [
            uid
            for uid in NAMES
            if uid not in self._speakers
            and now_s - self._vanished_s.get(uid, -NAME_FREE_S) >= NAME_FREE_S
        ]
        if not free:
            return
        uid = self._random.choice(free)
        async with self._server_lock:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-u", str(SUPPORT / "room_client.py")),
                *(self._relay.url, CHANNEL, uid, "120"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(SUPPORT.parent)},
            )
            self._speakers[uid] = process
            assert process.stdout is not None
            await process.stdout.readline()
        self._done["join"] += 1
        self.say(f"{uid} joined")

    async def _leave(self, uid: str) -> None:
        process = self._forget(uid)
        assert process.stdin is not None
        process.stdin.close()
        self.say(f"{uid} leaves")
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            self._vanished_s[uid] = time.monotonic()
            self.violate(f"{uid} did not leave within 10 s")

    async def _kill(self, uid: str) -> None:
        process = self._forget(uid)
        process.kill()
        await process.wait()
        self._vanished_s[uid] = time.monotonic()
        self.say(f"{uid} was killed")

    def _forget(self, uid: str) -> asyncio.subprocess.Process:
        self._muted.discard(uid)
        return self._speakers.pop(uid)

    def _notice_crashes(self) -> None:
        for uid, process in tuple(self._speakers.items()):
            if process.returncode is not None:
                self._forget(uid)
                self._vanished_s[uid] = time.monotonic()
                self.violate(f"{uid} ended by itself with {process.returncode}")

    async def _mute(self, uid: str) -> None:
        self._tell(uid, "unmute" if uid in self._muted else "mute")
        self._muted ^= {uid}

    async def _stall(self, uid: str) -> None:
        self._tell(uid, f"stall {self._random.uniform(0.2, 1.5):.2f}")

    def _tell(self, uid: str, line: str) -> None:
        stdin = self._speakers[uid].stdin
        assert stdin is not None
        stdin.write(f"{line}\n".encode())
        self.say(f"{uid}: {line}")

    async def _degrade(self, uid: str) -> None:
        """A bad phase of the network from a speaker to the recorder, or back."""
        way = self._relay.way(*self._random.choice(((uid, RECORDER), (RECORDER, uid))))
        name, value = self._random.choice(
            (
                ("loss", self._random.uniform(0.01, 0.25)),
                ("cut", True),
                ("delay_s", self._random.uniform(0.02, 0.3)),
                ("jitter_s", 0.06),
                ("reordered", 0.3),
                ("copies", 0.3),
            )
        )
        seconds = self._random.uniform(0.2, 3) if name == "cut" else self._random.uniform(2, 15)
        self.say(f"{uid}: {name} {value:.2f} for {seconds:.1f} s")

        async def phase() -> None:
            setattr(way, name, value)
            await asyncio.sleep(seconds)
            setattr(way, name, type(value)(0))

        task = asyncio.create_task(phase())
        self._phases.add(task)
        task.add_done_callback(self._phases.discard)

    async def _drop_websocket(self, uid: str) -> None:
        whose = self._random.choice((uid, RECORDER))
        self.say(f"the WebSocket of {whose} drops")
        self._relay.drop_websocket(whose)

    async def _restart_server(self, uid: str) -> None:
        async with self._server_lock:
            port = int(self._server.url.rsplit(":", 1)[1])
            self.say("the server is restarted")
            await self._server.stop()
            await asyncio.sleep(self._random.uniform(0, 2))
            self._server = RoomServer("127.0.0.1", port)
            await self._server.start()
            # All have to find it again before the next one of these, or names would be taken.
            await asyncio.sleep(6)


def wrong_with(take: Take, *, replaced: bool) -> list[str]:
    """What is not as it should be with a finished recording; nothing, it is hoped."""
    config, report = take.config, take.report
    wrong: list[str] = []
    if take.codes != [AudioRecordingCode.START, AudioRecordingCode.FINISH]:
        wrong.append(f"its events were {[code.name for code in take.codes]}")
    if report is None:
        return [*wrong, "it has no report"]
    pcm, rate_hz = read_ffmpeg(config.path)
    length_s = len(pcm) / rate_hz
    slack_s = (
        TOLERANCE_S + take.lag_s + (AAC_FRAME / rate_hz if config.path.suffix == ".aac" else 0)
    )
    least_s = take.stop_called_s - take.started_s
    # Who starts the next recording does not see when the old one ends, only that it has.
    most_s = take.finished_s - take.started_s if replaced else least_s
    if config.cycle_time:
        least_s, most_s = min(least_s, config.cycle_time), min(most_s, config.cycle_time)
    if not least_s - slack_s <= length_s <= most_s + slack_s:
        wrong.append(f"it is {length_s:.3f} s long, not {least_s:.3f} to {most_s:.3f} s")
    if rate_hz != config.sample_rate:
        wrong.append(f"its rate is {rate_hz} Hz, not {config.sample_rate} Hz")
    if abs(report.duration_s - length_s) > 1e-6:
        wrong.append(f"the report says {report.duration_s} s, the file has {length_s} s")
    status = config.path.stat()
    if report.bytes_written != status.st_size:
        wrong.append(f"the report says {report.bytes_written} bytes, it has {status.st_size}")
    if stat.S_IMODE(status.st_mode) != 0o600:
        wrong.append(f"its mode is {status.st_mode:o}")
    if report.error or report.unwritten_s:
        wrong.append(f"the report says {report.error!r}, {report.unwritten_s} s unwritten")
    beside = json.loads(config.path.with_name(f"{config.path.name}.json").read_text())
    if beside != json.loads(json.dumps(report.as_dict())):
        wrong.append("the report beside it says something else")
    for source in report.sources:
        stay = f"{source.name} ({source.joined_s:.2f} to {source.left_s:.2f} s)"
        if not 0 <= source.joined_s <= source.left_s <= length_s + slack_s:
            wrong.append(f"{stay} was there outside of the recording")
        known_s = source.received_s + source.lost_s
        if not config.cycle_time and known_s > source.left_s - source.joined_s + 0.5:
            wrong.append(f"{stay}: {known_s:.2f} s were received or lost")
        if source.lost_s < 0 or source.late_s < 0 or source.received_s < 0:
            wrong.append(f"{stay} has negative times")
        for each in source.intervals:
            if not 0 <= each.start_s <= each.end_s <= length_s + slack_s:
                wrong.append(f"{stay}: {each} lies outside of the recording")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        print("ffmpeg is needed to check the files: install it")
        return 2
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    with tempfile.TemporaryDirectory(prefix="roomtape-soak-") as directory:
        code = asyncio.run(_soak(options.minutes, options.seed, Path(directory)))
        # Files that were checked and right are gone; what a failed check kept is shown by it.
        left = sorted(each.name for each in Path(directory).iterdir())
        if code == 0 and left:
            print(f"left behind: {left}")
            return 1
        return code


async def _soak(minutes: float, seed: int, directory: Path) -> int:
    return await Soak(minutes, seed, directory).run()


if __name__ == "__main__":
    sys.exit(main())
