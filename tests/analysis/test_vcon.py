"""``export --vcon``: what a vCon says is what the report says, and agrees with the draft."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, make_vcon
from roomtape.storage.proof.seal import check_seal
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import ConfigurationError, DamagedFileError, FileError
from support.damage import names_in
from support.keys import write_keys
from support.program import Cli, assert_one_line_error
from support.readers import run
from support.signals import noise
from support.vcon_schema import assert_is_vcon

RATE_HZ = 32000


async def call(path: Path, **config: Any) -> None:
    """Alice publishes for 8 s; Bob joins at 1 s, loses half a second, is muted, leaves, and comes
    back."""
    clock = ScriptedClock()
    config = {"report": True, **config}
    recorder = AudioRecorder(AudioRecordingConfiguration(path, **config), clock=clock)

    async def talk(source: Any, since: int, seconds: list[int]) -> None:
        for second in seconds:
            source.push(noise(second, 1, RATE_HZ), RATE_HZ, (second - since) * RATE_HZ)
            await clock.advance(1)

    async with recorder:
        alice = recorder.add_source("alice", local=True)
        alice.push(noise(1, 0.5, RATE_HZ), RATE_HZ)
        await clock.advance(1)
        bob = recorder.add_source("bob \u4e2d")
        await talk(bob, 1, [1])
        bob.push(noise(2, 0.5, RATE_HZ), RATE_HZ, 3 * RATE_HZ // 2)
        await clock.advance(1)
        await talk(bob, 1, [3])
        bob.set_muted(True)
        await clock.advance(1)
        bob.set_muted(False)
        await talk(bob, 1, [5])
        bob.close()
        again = recorder.add_source("bob \u4e2d")
        await talk(again, 6, [6, 7])


def report_of(path: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(path.with_name(path.name + ".json").read_text())
    return said


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_vcon_says_what_the_report_says(suffix: str, tmp_path: Path):
    path = tmp_path / f"a.{suffix}"
    private, _ = write_keys(tmp_path)
    await call(path, sign=private)
    created_at = datetime(2026, 7, 1, 12, 0, 0, 5000, tzinfo=UTC)
    vcon = make_vcon(path, subject="a complaint", created_at=created_at)
    assert_is_vcon(vcon)
    assert vcon["vcon"] == "0.4.0"
    assert vcon["created_at"] == "2026-07-01T12:00:00.005000+00:00"
    assert vcon["subject"] == "a complaint"
    assert [party["name"] for party in vcon["parties"]] == ["alice", "bob \u4e2d"]
    (dialog,) = vcon["dialog"]
    assert dialog["start"] == "2026-01-01T00:00:00+00:00"
    assert dialog["duration"] == report_of(path)["duration_s"]
    assert dialog["parties"] == [0, 1]
    assert dialog["filename"] == path.name
    assert dialog["mediatype"] == {"wav": "audio/x-wav", "aac": "audio/aac"}[suffix]
    named = run("openssl", "dgst", "-sha512", "-binary", str(path))
    assert dialog["content_hash"][0] == (
        "sha512-" + base64.urlsafe_b64encode(named).decode().rstrip("=")
    )
    assert not {"url", "body"} & {*dialog}
    events = [
        (each["party"], each["event"], each["time"][17:22]) for each in dialog["party_history"]
    ]
    assert events[:3] == [(0, "join", "00+00"), (1, "join", "01+00"), (1, "mute", "04+00")]
    assert [event for _, event, _ in events].count("join") == 3
    assert (1, "unmute", "05+00") in events
    assert (1, "drop", "06+00") in events
    gaps, report = vcon["analysis"]
    lost = [each for each in gaps["body"]["gaps"] if each["kind"] == "lost"]
    assert [(each["party"], each["start_s"], each["end_s"]) for each in lost] == [(1, 2.0, 2.5)]
    assert lost[0]["time"] == "2026-01-01T00:00:02+00:00"
    # The report went in as it is: its signature still holds.
    again = json.loads(json.dumps(report["body"]))
    assert again == report_of(path)
    seal = check_seal(again)
    assert seal is not None
    assert seal.whole
    assert seal.signer is not None


async def test_its_uuid_is_of_version_8_and_begins_with_its_time(tmp_path: Path):
    path = tmp_path / "a.wav"
    await call(path)
    created_at = datetime(2026, 7, 1, tzinfo=UTC)
    made = [uuid.UUID(make_vcon(path, created_at=created_at)["uuid"]) for _ in range(8)]
    assert {(each.version, each.variant) for each in made} == {(8, uuid.RFC_4122)}
    assert {each.int >> 80 for each in made} == {int(created_at.timestamp() * 1000)}
    assert len({*made}) > 1


async def test_the_recording_may_be_at_a_url_or_inside(tmp_path: Path):
    path = tmp_path / "a.aac"
    await call(path, cycle_time=10)
    there = make_vcon(path, url="https://example.org/a.aac")
    assert_is_vcon(there)
    assert there["dialog"][0]["url"] == "https://example.org/a.aac"
    inside = make_vcon(path, inline=True)
    assert_is_vcon(inside)
    body = inside["dialog"][0]["body"]
    assert base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)) == path.read_bytes()
    for wrong in ("http://example.org/a", "https://", "a.aac", ""):
        with pytest.raises(ConfigurationError, match="https"):
            make_vcon(path, url=wrong)
    with pytest.raises(ConfigurationError, match="not both"):
        make_vcon(path, url="https://example.org/a.aac", inline=True)


async def test_what_does_not_belong_together_is_not_exported(tmp_path: Path):
    path = tmp_path / "a.wav"
    await call(path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(FileError, match="the file was changed"):
        make_vcon(path)
    with pytest.raises(FileError, match="no such file"):
        make_vcon(tmp_path / "b.wav")
    (tmp_path / "b.wav").touch()
    with pytest.raises(FileError, match="there is no report"):
        make_vcon(tmp_path / "b.wav")


def change(*keys: Any) -> Callable[[dict[str, Any]], None]:
    """Put the last one at the place that the others name."""

    def edit(report: Any) -> None:
        for key in keys[:-2]:
            report = report[key]
        report[keys[-2]] = keys[-1]

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        change("started_at", None),
        change("started_at", "yesterday"),
        change("duration_s", -1),
        change("duration_s", "x"),
        change("format", "mp3"),
        change("sources", 5),
        change("sources", [5]),
        change("sources", 0, "left_s", 1e300),
        change("sources", 0, "intervals", [{}]),
        change("sha256", "xy"),
        lambda report: report.pop("started_at"),
    ],
)
async def test_a_report_that_is_odd_is_one_line(
    edit: Callable[[dict[str, Any]], None], tmp_path: Path
):
    path = tmp_path / "a.wav"
    await call(path)
    report = report_of(path)
    report["proof"] = None
    edit(report)
    if report["sha256"] == "xy":
        report["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest().upper()
    path.with_name("a.wav.json").write_text(json.dumps(report))
    with pytest.raises((DamagedFileError, FileError)) as told:
        make_vcon(path)
    assert "\n" not in str(told.value)


async def test_what_was_recovered_has_its_gaps_in_the_vcon(tmp_path: Path, run_here: Cli):
    path = tmp_path / "a.wav"
    await call(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    recovered = {
        "format": "wav",
        "started_at": "2026-01-01T00:00:00+00:00",
        "duration_s": 8.0,
        "sha256": sha256,
        "recovered": {"missing": [{"start_s": 1.5, "end_s": 1.75}], "cut_bytes": 0},
    }
    path.with_name("a.wav.json").write_text(json.dumps(recovered))
    vcon = make_vcon(path)
    assert_is_vcon(vcon)
    (gap,) = vcon["analysis"][0]["body"]["gaps"]
    assert (gap["party"], gap["kind"], gap["time"]) == (
        *(None, "torn"),
        "2026-01-01T00:00:01.500000+00:00",
    )


async def test_two_sides_are_two_channels(tmp_path: Path):
    path = tmp_path / "a.wav"
    await call(path)
    report = report_of(path)
    report.update(proof=None, channels=2)
    path.with_name("a.wav.json").write_text(json.dumps(report))
    vcon = make_vcon(path)
    assert_is_vcon(vcon)
    assert vcon["dialog"][0]["parties"] == [[0], [1]]


async def test_the_command_writes_it_beside_the_recording(tmp_path: Path, run_here: Cli):
    path = tmp_path / "a.aac"
    await call(path)
    done = run_here("export", "--vcon", path, "--subject", "standup")
    assert (done.returncode, done.stderr) == (0, "")
    vcon = json.loads((tmp_path / "a.aac.vcon").read_text())
    assert_is_vcon(vcon)
    assert done.stdout == f"{path}.vcon: a vCon of 2 parties, {vcon['uuid']}\n"
    assert run_here("export", "--vcon", path).returncode == 0
    assert "a.aac.1.vcon" in names_in(tmp_path)  # nothing is overwritten
    printed = run_here("export", path, "--vcon", "-o", "-", "--url", "https://example.org/a.aac")
    assert_is_vcon(json.loads(printed.stdout))
    assert_one_line_error(run_here("export", path), 2, "--vcon")
    assert_one_line_error(run_here("export", "--vcon", path, "--url", "x"), 2, "https")
    assert_one_line_error(
        run_here("export", "--vcon", path, "-o", tmp_path / "nosuch" / "a"), 1, "cannot write"
    )
    assert_one_line_error(run_here("export", "--vcon", tmp_path / "b.wav"), 1, "no such file")
