"""Warnings: each once, and again after what it tells of had gone away."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, AudioRecordingWarning
from roomtape.recording.health import HealthCheck, Snapshot
from roomtape.storage.disk import Disk
from roomtape.types import FrameOrigin, LeftOut, RecordingEvent
from roomtape.types.clock import ScriptedClock
from support.signals import noise, silence, tone

Warn = AudioRecordingWarning


class Recording:
    """A recorder on a scripted clock, and its warnings as they come."""

    def __init__(self, path: Path, disk: Disk | None = None, **config: int) -> None:
        self.clock = ScriptedClock()
        self.warnings: list[tuple[AudioRecordingWarning, float]] = []
        self.recorder = AudioRecorder(
            AudioRecordingConfiguration(path, sample_rate=16000, **config),  # type: ignore[arg-type]
            on_event=self._note,
            clock=self.clock,
            disk=disk,
        )

    @property
    def codes(self) -> list[AudioRecordingWarning]:
        return [code for code, _ in self.warnings]

    def _note(self, event: RecordingEvent) -> None:
        if isinstance(event.code, AudioRecordingWarning):
            assert event.detail
            self.warnings.append((event.code, self.clock.now_ns() / 1e9))


async def test_who_sends_nothing_for_ten_seconds_is_told_of_once_and_again(tmp_path: Path):
    here = Recording(tmp_path / "a.wav")
    async with here.recorder:
        alice = here.recorder.add_source("alice")
        await here.clock.advance(25)
        alice.push(noise(1, 1.0, 16000), 16000)
        await here.clock.advance(5)
        assert here.codes == [Warn.NO_AUDIO]
        await here.clock.advance(15)
        assert here.codes == [Warn.NO_AUDIO] * 2
        alice.set_muted(True)
        await here.clock.advance(30)
        alice.set_muted(False)
        await here.clock.advance(8)
        assert here.codes == [Warn.NO_AUDIO] * 2
        await here.clock.advance(8)
        alice.close()
        await here.clock.advance(20)
    assert here.codes == [Warn.NO_AUDIO] * 3
    assert [round(at_s) for _, at_s in here.warnings] == [10, 35, 85]
    assert here.recorder.report is not None
    assert [words.split(": ")[1] for words in here.recorder.report.warnings] == [
        "alice is not muted but has sent nothing for 10 s"
    ] * 3


async def test_who_sends_only_zeros_is_told_of_as_silent(tmp_path: Path):
    here = Recording(tmp_path / "a.wav")
    async with here.recorder:
        alice = here.recorder.add_source("alice")

        async def send(seconds: int, level: int) -> None:
            for _ in range(seconds):
                alice.push(np.full(16000, level, np.int16), 16000)
                await here.clock.advance(1)

        await send(20, 0)
        assert here.codes == [Warn.SILENT_AUDIO]
        await send(5, 3)
        await send(20, 0)
        assert here.codes == [Warn.SILENT_AUDIO] * 2


async def test_a_mix_that_is_limited_most_of_the_time_is_told_of(tmp_path: Path):
    here = Recording(tmp_path / "a.wav")
    async with here.recorder:
        sources = [here.recorder.add_source(name) for name in ("alice", "bob")]

        async def send(seconds: int, dbfs: float) -> None:
            for _ in range(seconds):
                for source in sources:
                    source.push(tone(440, 1.0, 16000, dbfs), 16000)
                await here.clock.advance(1)

        await send(25, -1)
        assert here.codes == [Warn.LIMITING]
        await send(25, -20)
        await send(25, -1)
    assert here.codes == [Warn.LIMITING] * 2
    assert here.recorder.report is not None
    assert 48 < here.recorder.report.limited_s < 52


async def test_audio_that_comes_too_late_is_told_of(tmp_path: Path):
    here = Recording(tmp_path / "a.wav")
    said = noise(1, 60.0, 16000)
    async with here.recorder:
        alice = here.recorder.add_source("alice")
        for frame in range(600):
            start = frame * 1600
            # From second 5 to 25 every other frame is sent again, 1.6 s after its place was mixed.
            if 50 <= frame < 250 and frame % 2:
                late = start - 16 * 1600
                alice.push(said[late : late + 1600], 16000, late)
            else:
                alice.push(said[start : start + 1600], 16000, start)
            await here.clock.advance(0.1)
    assert Warn.LATE_AUDIO in here.codes
    assert here.codes.count(Warn.LATE_AUDIO) == 1
    assert here.recorder.report is not None
    assert here.recorder.report.sources[0].late_s > 1


async def test_audio_that_is_left_out_is_told_of(tmp_path: Path):
    here = Recording(tmp_path / "a.wav")
    said = noise(1, 40.0, 16000)
    async with here.recorder:
        alice = here.recorder.add_source("alice")
        for frame in range(400):
            alice.push(said[frame * 1600 : (frame + 1) * 1600], 16000, frame * 1600)
            if 50 <= frame < 250:  # a room leaves out as much again
                alice.count_origin(FrameOrigin.SENT, 1600, 16000, left_out=1600)
            await here.clock.advance(0.1)
    assert here.codes == [Warn.AUDIO_LEFT_OUT]
    (report,) = here.recorder.report.sources
    assert report.left_out == {LeftOut.TOO_FAST: 20.0}
    assert report.arrived_s == 60.0


async def test_packets_that_this_machine_dropped_are_told_of(tmp_path: Path):
    here = Recording(tmp_path / "a.wav")
    said = noise(1, 40.0, 16000)
    async with here.recorder:
        alice = here.recorder.add_source("alice")
        for frame in range(400):
            alice.push(said[frame * 1600 : (frame + 1) * 1600], 16000, frame * 1600)
            if frame in (50, 60):
                alice.count_origin(FrameOrigin.SENT, 1600, 16000, dropped_packets=7)
            await here.clock.advance(0.1)
    assert here.codes == [Warn.PACKETS_DROPPED]
    assert here.recorder.report.sources[0].dropped_packets == 14
    assert "14 packets of alice's" in here.recorder.report.warnings[0]


async def test_ten_minutes_that_wait_are_enough_and_the_rest_is_told_of(tmp_path: Path):
    here = Recording(tmp_path / "a.wav")
    minute = noise(1, 60.0, 16000)
    async with here.recorder:
        alice = here.recorder.add_source("alice")
        for _ in range(11):
            alice.push(minute, 16000)
        with pytest.raises(ValueError, match="ten minutes"):
            alice.push(minute, 16000)
        await here.clock.advance(1.0)
    (report,) = here.recorder.report.sources
    assert report.left_out == {LeftOut.TOO_MUCH: 60.0}
    assert (report.arrived_s, report.received_s, report.after_end_s) == (720.0, 1.0, 659.0)


async def test_a_disk_that_will_be_full_is_told_of_once_and_again(tmp_path: Path):
    class Shrinking(Disk):
        free = 1 << 40

        def free_bytes(self, path: Path) -> int:
            return self.free

    disk = Shrinking()
    here = Recording(tmp_path / "a.wav", disk)
    async with here.recorder:
        await here.clock.advance(10)
        assert here.codes == []
        disk.free = 1 << 20
        await here.clock.advance(20)
        assert here.codes == [Warn.LOW_DISK_SPACE]
        disk.free = 1 << 40
        await here.clock.advance(10)
        disk.free = 1 << 20
        await here.clock.advance(10)
    assert here.codes == [Warn.LOW_DISK_SPACE] * 2


async def test_an_ordinary_call_has_no_warnings(tmp_path: Path):
    here = Recording(tmp_path / "a.wav")
    async with here.recorder:
        alice = here.recorder.add_source("alice")
        for _ in range(40):
            alice.push(noise(1, 1.0, 16000), 16000)
            await here.clock.advance(1)
    assert here.codes == []


def snapshot(second: float, **changes: object) -> Snapshot:
    facts: dict[str, object] = {
        "now_ns": round(second * 1e9),
        "sources": (),
        "mixed_samples": round(second * 16000),
        "limited_samples": 0,
        "disk_busy_ns": 0,
        "backlog_s": 0.0,
        "free_bytes": 1 << 40,
        "bytes_per_s": 32000,
    }
    return Snapshot(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("slow", [{"disk_busy_ns": 2_500_000_000}, {"backlog_s": 2.5}])
def test_a_slow_disk_is_told_of_once_and_again(slow: dict[str, object]):
    watch = HealthCheck()
    seen: list[Sequence[AudioRecordingWarning]] = []
    for second, changes in enumerate([{}, slow, slow, slow, {}, {}, slow]):
        seen.append([code for code, _ in watch.look(snapshot(second, **changes))])
    assert seen == [[], [Warn.SLOW_DISK], [], [], [], [], [Warn.SLOW_DISK]]


def test_free_space_that_nobody_knows_is_no_warning():
    assert HealthCheck().look(snapshot(1, free_bytes=None)) == []


def test_a_cyclic_recording_needs_space_only_to_be_finished():
    assert HealthCheck().look(snapshot(1, free_bytes=400_000, cycle_s=10)) == []
    ((code, words),) = HealthCheck().look(snapshot(1, free_bytes=300_000, cycle_s=10))
    assert code is Warn.LOW_DISK_SPACE
    assert "finishing" in words


async def test_two_sources_are_told_of_separately(tmp_path: Path):
    here = Recording(tmp_path / "a.wav")
    async with here.recorder:
        here.recorder.add_source("alice")
        await here.clock.advance(5)
        bob = here.recorder.add_source("bob")
        for _ in range(20):
            bob.push(silence(1.0, 16000), 16000)
            await here.clock.advance(1)
    assert here.codes == [Warn.NO_AUDIO, Warn.SILENT_AUDIO]


async def test_a_program_can_warn_of_what_it_alone_knows(tmp_path: Path):
    here = Recording(tmp_path / "a.wav")
    async with here.recorder:
        await here.clock.advance(3)
        here.recorder.warn(Warn.NO_AUDIO, "nobody has come")
    assert here.warnings == [(Warn.NO_AUDIO, 3.0)]
    assert here.recorder.report is not None
    assert here.recorder.report.warnings == ("3.0 s: nobody has come",)
