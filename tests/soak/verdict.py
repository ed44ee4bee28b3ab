"""Whether a finished recording is as it should be."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass, field
from pathlib import Path

from roomtape import AudioRecordingCode, AudioRecordingConfiguration, RecordingReport
from support.readers import run

_TOLERANCE_S = 0.020
_AAC_FRAME = 1024


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


def wrong_with(take: Take, *, replaced: bool) -> list[str]:
    """What is not as it should be with a finished recording; nothing, it is hoped."""
    config, report = take.config, take.report
    wrong: list[str] = []
    if take.codes != [AudioRecordingCode.START, AudioRecordingCode.FINISH]:
        wrong.append(f"its events were {[code.name for code in take.codes]}")
    if report is None:
        return [*wrong, "it has no report"]
    samples, rate_hz = _read(config.path)
    length_s = samples / rate_hz
    slack_s = (
        _TOLERANCE_S + take.lag_s + (_AAC_FRAME / rate_hz if config.path.suffix == ".aac" else 0)
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


def _read(path: Path) -> tuple[int, int]:
    """How many samples ffmpeg decodes, and their rate. Not through this process's memory, which is
    what is measured: the decoded audio of a few long recordings would leave its heap larger for
    good (measured: 18 MiB a thread)."""
    raw = path.with_name(f"{path.name}.raw")
    run("ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-f", "s16le", str(raw))
    samples = raw.stat().st_size // 2
    raw.unlink()
    shown = ("-show_entries", "stream=sample_rate", "-of", "csv=p=0")
    return samples, int(run("ffprobe", "-v", "error", *shown, str(path)))
