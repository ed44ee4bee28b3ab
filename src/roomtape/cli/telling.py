"""What a running recording prints: meters on a terminal, lines elsewhere, or JSON."""

from __future__ import annotations

import asyncio
import json
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..analysis.timecode import timecode
from ..engine import ChannelEventCallback, RtcEngine
from ..types import (
    AudioRecordingCode,
    AudioRecordingWarning,
    Forgotten,
    IntervalKind,
    LeftOut,
    RecordingReport,
    SourceReport,
)

if TYPE_CHECKING:
    from rich.table import Table

    from ..recording.recorder import AudioRecorder

_REFRESH_S = 0.2
_METER_CELLS = 30
_FLOOR_DBFS = -60.0
_WORTH_TELLING_S = 0.05
_REASONS = {
    LeftOut.TOO_FAST: "came faster than it can have been spoken",
    LeftOut.TOO_MUCH: "when ten minutes waited already",
    LeftOut.BEFORE_START: "belongs before the start",
    LeftOut.CLOCK: "to follow a clock that runs fast",
    LeftOut.CLEARED: "withdrawn before it was heard",
    LeftOut.FAILED: "because its source failed",
}


class Teller(ChannelEventCallback):
    """Plain lines on standard output, as things happen."""

    def __init__(self, over: asyncio.Event) -> None:
        self._over = over
        self.disconnected = ""
        """Why the room was lost, if it was."""

    def say(self, event: str, words: str, **facts: Any) -> None:
        """Tell one event."""
        del event, facts
        print(words, flush=True)

    def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        words = {
            AudioRecordingCode.START: f"recording to {file_path}",
            AudioRecordingCode.FINISH: f"finished {file_path}",
            AudioRecordingCode.ERROR: f"error: {file_path} was broken off",
            AudioRecordingCode.PROMOTED: f"live: all is recorded to {file_path} from now on",
            AudioRecordingCode.DEMOTED: f"cyclic: the last seconds are kept for {file_path}",
            AudioRecordingCode.PART_FINISHED: f"finished {file_path}, and the recording goes on",
            AudioRecordingCode.PART_FAILED: f"error: {file_path} could not be completed",
        }
        if code in words:
            self.say(code.name.lower(), words[code], file_path=file_path)
        if code is AudioRecordingCode.ERROR:
            self._over.set()

    def on_audio_recording_warning(self, code: AudioRecordingWarning, detail: str) -> None:
        self.say("warning", f"warning: {detail}", code=code.name.lower(), detail=detail)

    # Once it ends, the others go their own ways, and that is nothing to do with the recording.

    def on_user_joined(self, uid: str) -> None:
        if not self._over.is_set():
            self.say("joined", f"{uid} joined", uid=uid)

    def on_user_left(self, uid: str, reason: str) -> None:
        if not self._over.is_set():
            self.say("left", f"{uid} left ({reason})", uid=uid, reason=reason)

    def on_user_recording(self, uid: str, recording: bool) -> None:
        verb = "is recording, too" if recording else "no longer records"
        self.say("recording", f"{uid} {verb}", uid=uid, recording=recording)

    def on_user_consent(self, uid: str, agrees: bool) -> None:
        words = "agrees to be recorded" if agrees else "does not agree to be recorded"
        self.say("consent", f"{uid} {words}", uid=uid, agrees=agrees)

    def on_disconnect(self, reason: str) -> None:
        self.disconnected = reason
        self.say("disconnected", f"the room was lost: {reason}", reason=reason)
        self._over.set()

    async def until(self, over: asyncio.Event, duration: float | None, engine: RtcEngine) -> None:
        """Wait for the end of the recording."""
        del engine
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), duration)

    def finished(self, report: RecordingReport) -> None:
        """Sum up."""
        print(f"{report.file_path}: {timecode(report.duration_s)}, {report.bytes_written} bytes")
        for source in report.sources:
            print(f"  {source_line(source)}")
            if source.left_out_s >= _WORTH_TELLING_S:
                print(f"    {left_out_line(source)}")
        if report.projects:
            count = len(report.stems)
            stems = f"{count} stem{'s' * (count != 1)}"
            print(f"  {stems}, opened by {' or '.join(report.projects)}")

    def saved(self, report: RecordingReport) -> None:
        """A part is in a file of its own."""
        self.say(
            "saved",
            f"saved {timecode(report.duration_s)} to {report.file_path}",
            file_path=report.file_path,
            report=report.as_dict(),
        )

    def not_saved(self, path: str, why: str) -> None:
        """A part could not be saved; the recording goes on."""
        self.say("save_failed", f"not saved: {why}", file_path=path, detail=why)

    def forgotten(self, name: str, forgotten: Forgotten) -> None:
        """Somebody's voice was removed."""
        words = f"{name} is forgotten: {forgotten.silenced_s:.1f} s of what was held is silence now"
        if forgotten.still_in:
            words += f"; still to be heard in {', '.join(forgotten.still_in)}"
        facts = {"silenced_s": forgotten.silenced_s, "still_in": forgotten.still_in}
        self.say("forgotten", words, uid=name, **facts)

    def not_forgotten(self, why: str) -> None:
        """It was not, or not all of it."""
        self.say("not_forgotten", f"not forgotten: {why}", detail=why)

    def not_turned(self, why: str) -> None:
        """It is live, or cyclic, as it was."""
        self.say("not_turned", f"nothing changed: {why}", detail=why)


class JsonTeller(Teller):
    """One JSON object a line."""

    def say(self, event: str, words: str, **facts: Any) -> None:
        del words
        at = round(time.time(), 3)
        print(json.dumps({"event": event, "time": at, **facts}, ensure_ascii=False), flush=True)

    def finished(self, report: RecordingReport) -> None:
        self.say("report", "", report=report.as_dict())


class MeterTeller(Teller):
    """Lines that scroll over meters that stay."""

    async def until(self, over: asyncio.Event, duration: float | None, engine: RtcEngine) -> None:
        from rich.live import Live  # noqa: PLC0415 (only a terminal needs it)

        deadline = None if duration is None else time.monotonic() + duration
        with Live(self._meters(engine), refresh_per_second=1 / _REFRESH_S) as live:
            while not over.is_set() and (deadline is None or time.monotonic() < deadline):
                rest = _REFRESH_S if deadline is None else deadline - time.monotonic()
                with suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), max(0.0, min(_REFRESH_S, rest)))
                live.update(self._meters(engine))

    def _meters(self, engine: RtcEngine) -> Table:
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(show_header=False, box=None, padding=(0, 1))
        recorder = engine.recorder
        if recorder is None:
            return table
        table.add_row(
            Text("● REC", style="bold red"), timecode(recorder.duration_s), _kept(recorder)
        )
        for source in recorder.sources:
            if source.closed:
                continue
            level = _dbfs(source.level)
            cells = round((1 - level / _FLOOR_DBFS) * _METER_CELLS)
            style = "red" if level > -1 else "yellow" if level > -6 else "green"
            bar = Text("█" * cells, style=style) + Text("·" * (_METER_CELLS - cells), style="dim")
            state = "muted" if source.muted else f"{level:5.0f} dBFS" if cells else ""
            table.add_row(Text(source.name), bar, state)
        return table


def make_teller(over: asyncio.Event, *, as_json: bool, terminal: bool) -> Teller:
    """The one that suits; ``over`` is set when the recording cannot go on."""
    return (JsonTeller if as_json else MeterTeller if terminal else Teller)(over)


def source_line(source: SourceReport) -> str:
    """One participant's report in a line."""
    spoke_s = sum(
        interval.end_s - interval.start_s
        for interval in source.intervals
        if interval.kind is IntervalKind.SPOKE
    )
    parts = [
        f"in the room {timecode(source.joined_s)} to {timecode(source.left_s)}",
        f"spoke {spoke_s:.1f} s",
        f"lost {source.lost_s:.2f} s",
    ]
    if source.late_s:
        parts.append(f"too late {source.late_s:.2f} s")
    if source.dropped_packets:
        parts.append(f"{source.dropped_packets} packets dropped by this machine")
    if source.drift_ppm:
        parts.append(f"clock {source.drift_ppm:+.0f} ppm")
    you = " (local)" if source.local else ""
    return f"{source.name}{you}: " + ", ".join(parts)


def left_out_line(source: SourceReport) -> str:
    """What of a participant's audio came and is not in the file, and why."""
    parts = (
        f"{left_out_s:.2f} s {_REASONS[reason]}" for reason, left_out_s in source.left_out.items()
    )
    return f"left out {source.left_out_s:.2f} of {source.arrived_s:.2f} s: " + ", ".join(parts)


def _kept(recorder: AudioRecorder) -> str:
    """What of a recording is kept, and what would change that."""
    cycle_s = int(recorder.config.cycle_time)
    if not cycle_s:
        return ""
    return f"the last {cycle_s} s; l: live" if recorder.cyclic else f"live; l: the last {cycle_s} s"


def _dbfs(level: float) -> float:
    return max(_FLOOR_DBFS, 20 * math.log10(level)) if level > 0 else _FLOOR_DBFS
