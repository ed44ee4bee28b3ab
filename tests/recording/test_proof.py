"""The report has the SHA-256 of its file, and maybe a signature, however the recording ends."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roomtape import (
    AudioRecorder,
    AudioRecordingConfiguration,
    ErrorCode,
    Verdict,
    verify_recording,
)
from roomtape.analysis.marks import marks_of
from roomtape.recording import run
from roomtape.storage.disk import Disk
from roomtape.storage.proof.hashing import hashing
from roomtape.storage.proof.keys import load_public_key
from roomtape.storage.recover import recover
from roomtape.types import AudioRecordingCode, RecordingEvent
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import ConfigurationError, FileError
from support.damage import names_in
from support.faulty_disk import Fault, FaultyDisk, HangingDisk
from support.keys import write_keys
from support.readers import read_all
from support.scripted_call import joined_call
from support.scripted_recording import record_scripted
from support.signals import noise

KINDS = [("wav", 0), ("wav", 10), ("aac", 0), ("aac", 10)]


def digest(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def written(path: Path) -> dict[str, Any]:
    """The report of ``path``."""
    said: dict[str, Any] = json.loads(beside(path).read_text())
    return said


class NoReading(Disk):
    """Nothing can be read back, though it can be written."""

    def __init__(self) -> None:
        self.reads = 0

    def read_at(self, fd: int, count: int, offset: int) -> bytes:
        self.reads += 1
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize(("suffix", "cycle_time"), KINDS)
@pytest.mark.parametrize("seconds", [0.05, 1.6, 14.3])
async def test_the_report_has_the_hash_of_the_file(
    suffix: str, cycle_time: int, seconds: float, tmp_path: Path
):
    path = tmp_path / f"a.{suffix}"
    outcome = await record_scripted(path, seconds=seconds, cycle_time=cycle_time, report=True)
    assert outcome.report is not None
    assert outcome.report.sha256 == digest(path)
    assert written(path) == json.loads(json.dumps(outcome.report.as_dict()))
    assert verify_recording(path).ok


async def test_a_live_aac_is_hashed_as_it_is_written_and_never_read(tmp_path: Path):
    disk = NoReading()
    outcome = await record_scripted(tmp_path / "a.aac", disk=disk)
    assert outcome.report is not None
    assert (disk.reads, outcome.report.sha256) == (0, digest(tmp_path / "a.aac"))


async def test_a_file_that_cannot_be_read_back_is_finished_and_said_to_have_no_hash(tmp_path: Path):
    path = tmp_path / "a.wav"
    outcome = await record_scripted(path, disk=NoReading(), report=True)
    assert outcome.report is not None
    assert outcome.codes == [AudioRecordingCode.START, AudioRecordingCode.FINISH]
    assert outcome.report.sha256 == ""
    assert outcome.report.warnings == ("1.6 s: the SHA-256 is missing: input/output error",)
    found = verify_recording(path)
    assert found.verdict is Verdict.DAMAGED_REPORT
    assert "no sha-256" in found.words


@pytest.mark.parametrize(("suffix", "cycle_time"), KINDS)
async def test_a_recording_that_a_full_disk_breaks_off_fits_its_report(
    suffix: str, cycle_time: int, tmp_path: Path
):
    counting = FaultyDisk()
    await record_scripted(tmp_path / f"whole.{suffix}", disk=counting, cycle_time=cycle_time)
    writes = [at for at, name in enumerate(counting.calls) if name == "write"]
    for at in writes[2:]:
        path = tmp_path / f"{at}.{suffix}"
        outcome = await record_scripted(
            path, disk=FaultyDisk(Fault(at, errno.ENOSPC, "once")), cycle_time=cycle_time
        )
        assert outcome.report is not None
        assert outcome.report.error
        # Where the target never came to be, the report is about the ring.
        assert outcome.report.sha256 == digest(outcome.report.file_path)


async def test_half_a_frame_that_cannot_be_cut_off_belongs_to_the_file_and_its_hash(
    tmp_path: Path,
):
    class Torn(Disk):
        """A write fails half-way, and nothing can be cut off any more."""

        torn = False

        def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
            if name == "write" and args[2] > 5000:
                if not self.torn:
                    self.torn = True
                    return function(args[0], args[1][: len(args[1]) // 2 + 1], args[2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if name == "truncate" and self.torn:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return function(*args)

    outcome = await record_scripted(tmp_path / "a.aac", disk=Torn())
    assert outcome.report is not None
    assert outcome.report.error
    assert (tmp_path / "a.aac").stat().st_size > outcome.report.bytes_written
    assert outcome.report.sha256 == digest(tmp_path / "a.aac")


@pytest.mark.parametrize("suffix", ["wav", "aac"])
@pytest.mark.parametrize("what", ["renamed", "removed"])
async def test_a_file_that_somebody_moves_meanwhile_fits_its_report(
    what: str, suffix: str, tmp_path: Path
):
    path, clock = tmp_path / f"a.{suffix}", ScriptedClock()
    config = AudioRecordingConfiguration(path, report=True)
    async with AudioRecorder(config, clock=clock) as recorder:
        source = recorder.add_source("alice")
        source.push(noise(1, 2, 48000), 48000)
        await clock.advance(2)
        path.rename(tmp_path / f"b.{suffix}") if what == "renamed" else path.unlink()
    report = recorder.report
    assert report is not None
    assert Path(report.file_path).name == (f"b.{suffix}" if what == "renamed" else f"a.{suffix}")
    assert report.sha256 == digest(report.file_path)
    assert verify_recording(report.file_path).ok


async def test_a_signed_report_says_by_whom_and_a_moved_pair_still_fits(tmp_path: Path):
    private, public = write_keys(tmp_path)
    _, other = write_keys(tmp_path, "other")
    path = tmp_path / "a.aac"
    outcome = await record_scripted(path, sign=private)  # which writes the report, too
    assert outcome.report is not None
    assert outcome.report.proof is not None
    assert outcome.report.proof.algorithm == "Ed25519"
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "b.aac"
    path.rename(moved)
    beside(path).rename(beside(moved))
    found = verify_recording(moved, key=public)
    assert (found.verdict, found.sha256) == (Verdict.MATCH, outcome.report.sha256)
    assert found.key_fingerprint in found.words
    asked = verify_recording(moved, key=other)
    assert asked.verdict is Verdict.OTHER_SIGNER
    assert verify_recording(other, key=other, report=beside(moved)).verdict is not Verdict.MATCH


def rewritten(path: Path, edit: Callable[[dict[str, Any]], None], *, reorder: bool = False) -> None:
    """The report of ``path`` as somebody's editor would save it."""
    said = written(path)
    edit(said)
    beside(path).write_text(json.dumps(said, sort_keys=reorder, ensure_ascii=reorder))


def edit_duration(said: dict[str, Any]) -> None:
    said["duration_s"] += 1


def edit_name(said: dict[str, Any]) -> None:
    said["sources"][0]["name"] = "mallory"


def drop_error(said: dict[str, Any]) -> None:
    del said["error"]


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("edit", [edit_duration, edit_name, drop_error])
async def test_a_report_that_was_changed_is_told_from_a_file_that_was(
    edit: Callable[[dict[str, Any]], None], signed: bool, tmp_path: Path
):
    private, _ = write_keys(tmp_path)
    path = tmp_path / "a.wav"
    await record_scripted(path, sign=private if signed else None, report=True)
    rewritten(path, lambda said: None, reorder=True)  # how it is written does not count
    assert verify_recording(path).ok
    whole = path.read_bytes()
    path.write_bytes(whole[:-2])
    assert verify_recording(path).verdict is Verdict.FILE_CHANGED
    path.write_bytes(whole)
    rewritten(path, edit)
    assert verify_recording(path).verdict is Verdict.REPORT_CHANGED
    path.write_bytes(whole + b"x")
    found = verify_recording(path)
    assert found.verdict is Verdict.REPORT_CHANGED
    assert not found.key_fingerprint
    assert "does not fit the file" in found.words


async def test_without_a_seal_nobody_knows_which_was_changed(tmp_path: Path):
    path = tmp_path / "a.wav"
    await record_scripted(path, report=True)
    rewritten(path, lambda said: said.update(proof=None))
    assert verify_recording(path).ok
    path.write_bytes(b"other")
    assert verify_recording(path).verdict is Verdict.MISMATCH


async def test_a_signature_cannot_be_taken_over_by_another_key(tmp_path: Path):
    """Taken off, put under another report, or made out of nothing."""
    first, second = tmp_path / "a.wav", tmp_path / "b.wav"
    private, public = write_keys(tmp_path)
    await record_scripted(first, sign=private)
    await record_scripted(second, sign=private, seconds=1)
    theirs = written(second)["proof"]
    whole = beside(first).read_bytes()
    rewritten(first, lambda said: said.update(proof=theirs))
    assert verify_recording(first, key=public).verdict is Verdict.REPORT_CHANGED
    beside(first).write_bytes(whole)
    unsigned = {"algorithm": "", "public_key": "", "signature": ""}
    rewritten(first, lambda said: said["proof"].update(unsigned))
    assert verify_recording(first).verdict is Verdict.MATCH
    assert verify_recording(first, key=public).verdict is Verdict.OTHER_SIGNER
    # What is named twice could be read either way.
    beside(first).write_bytes(whole.replace(b"{", b'{"duration_s": 1,', 1))
    assert verify_recording(first).verdict is Verdict.DAMAGED_REPORT


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[1]",
        b"\xff",
        b"[" * 100000,
        b"{}",
        b'{"sha256": 5}',
        b'{"sha256": "ab", "proof": 5}',
        b'{"sha256": "ab", "proof": {"report_sha256": 1e999}}',
        b'{"sha256": "ab", "x": 1e999, "proof": {"report_sha256": "ab"}}',
        b'{"sha256": "ab", "proof": {"a": 1}}',
        b'{"sha256": "ab", "proof": {"report_sha256": "", "algorithm": "RSA", "signature": "a"}}',
        b'{"sha256": "ab", "proof": {"report_sha256": "", "algorithm": "Ed25519", '
        b'"public_key": "AAAA", "signature": 7}}',
        b'{"sha256": "ab", "proof": {"report_sha256": "", "algorithm": "Ed25519", '
        b'"public_key": 1, "signature": "AAAA"}}',
    ],
)
def test_a_report_that_is_none_is_said_to_be_none(text: bytes, tmp_path: Path):
    (tmp_path / "a.wav").write_bytes(b"a")
    assert verify_recording(tmp_path / "a.wav").verdict is Verdict.NO_REPORT
    (tmp_path / "a.wav.json").write_bytes(text)
    found = verify_recording(tmp_path / "a.wav")
    assert found.verdict in (Verdict.DAMAGED_REPORT, Verdict.REPORT_CHANGED)
    assert "\n" not in found.words
    with pytest.raises(FileError, match="no such file"):
        verify_recording(tmp_path / "b.wav")


async def test_a_key_that_cannot_be_used_is_told_before_anything_is_begun(tmp_path: Path):
    private, public = write_keys(tmp_path)
    hidden, _ = write_keys(tmp_path, "hidden", b"secret")
    (tmp_path / "text.pem").write_text("no key at all, and nobody's business")
    os.mkfifo(tmp_path / "fifo.pem")
    (tmp_path / "huge.pem").write_bytes(b"A" * 100_000)
    before = names_in(tmp_path)
    for name, words in (
        ("nosuch.pem", "no such file"),
        ("text.pem", "not a private key in PEM"),
        (public.name, "not a private key in PEM"),
        (hidden.name, "has a passphrase"),
        ("fifo.pem", "no regular file"),
        ("huge.pem", "too large"),
        (".", "directory"),
    ):
        config = AudioRecordingConfiguration(tmp_path / "a.wav", sign=tmp_path / name)
        recorder = AudioRecorder(config, clock=ScriptedClock())
        with pytest.raises(ConfigurationError, match=words) as told:
            await recorder.start()
        assert "nobody's business" not in str(told.value)
        assert names_in(tmp_path) == before
    with pytest.raises(ConfigurationError, match="not a public key in PEM"):
        load_public_key(private)
    with pytest.raises(ConfigurationError, match="sign is 5"):
        AudioRecordingConfiguration("a.wav", sign=5).validate()  # type: ignore[arg-type]


@pytest.mark.parametrize(("suffix", "cycle_time"), KINDS)
async def test_what_is_recovered_has_its_hash(suffix: str, cycle_time: int, tmp_path: Path):
    path = tmp_path / f"a.{suffix}"
    if cycle_time:
        await record_scripted(path, seconds=3, cycle_time=cycle_time, disk=NoReading())
        path = tmp_path / f"a.{suffix}.ring"
    else:
        await record_scripted(path)
        path.write_bytes(path.read_bytes()[:-3])
    recovered = recover(path)
    assert not recovered.unchanged
    assert recovered.sha256 == digest(recovered.path)


async def test_a_live_file_that_others_write_into_does_not_fit(tmp_path: Path):
    """What was hashed is what was recorded."""
    path, clock = tmp_path / "a.aac", ScriptedClock()
    config = AudioRecordingConfiguration(path, report=True)
    async with AudioRecorder(config, clock=clock) as recorder:
        recorder.add_source("alice").push(noise(1, 2, 48000), 48000)
        await clock.advance(2)
        with path.open("r+b") as file:
            file.seek(500)
            file.write(b"forged")
    assert verify_recording(path).verdict is Verdict.FILE_CHANGED


async def test_the_engine_refuses_a_bad_key_and_records_on(tmp_path: Path):
    private, public = write_keys(tmp_path)
    path, other = tmp_path / "a.wav", tmp_path / "b.wav"
    async with joined_call() as call:
        engine = call.engine
        config = AudioRecordingConfiguration(path, sign=private)
        assert await engine.start_audio_recording_with_config(config) is ErrorCode.OK
        await call.clock.advance(1)
        config = AudioRecordingConfiguration(other, sign=public)
        assert await engine.start_audio_recording_with_config(config) is ErrorCode.INVALID_PARAM
        assert "not a private key in PEM" in engine.last_error
        assert names_in(tmp_path) == {"a.wav", "key.pem", "key.pub.pem"}
        await call.clock.advance(1)
        assert await engine.stop_audio_recording() is ErrorCode.OK
        assert call.ear.codes == [AudioRecordingCode.START, AudioRecordingCode.FINISH]
        report = engine.last_recording_report
    assert report is not None
    assert report.duration_s == 2
    assert verify_recording(path, key=public).ok


async def test_without_a_thread_to_hash_on_the_hash_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    path = tmp_path / "a.wav"
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with hashing(True) as hashed:
            for piece in (b"a" * 1000, b"b"):
                hashed.add(piece)
            assert hashed.hexdigest() == hashlib.sha256(b"a" * 1000 + b"b").hexdigest()
    outcome = await record_scripted(path, cycle_time=10)
    assert outcome.report is not None
    assert outcome.report.sha256 == digest(path)


@pytest.mark.realtime
async def test_a_disk_that_hangs_at_the_hash_keeps_nobody_from_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run, "_MOST_HASH_S", 0.2)
    disk, events = HangingDisk("read"), list[RecordingEvent]()
    config = AudioRecordingConfiguration(tmp_path / "a.wav")
    try:
        async with asyncio.timeout(120):
            async with AudioRecorder(config, on_event=events.append, disk=disk) as recorder:
                await asyncio.sleep(0.3)
                disk.hang()
        assert disk.waiting.is_set()
    finally:
        disk.release()
    assert [each.code for each in events] == [AudioRecordingCode.START, AudioRecordingCode.FINISH]
    report = recorder.report
    assert report is not None
    assert (report.sha256, report.error) == ("", "")
    assert "the SHA-256 is missing: the disk has taken more than" in report.warnings[-1]


@pytest.mark.parametrize(("suffix", "cycle_time"), KINDS)
async def test_a_part_that_is_saved_has_its_hash_its_marks_and_its_signature(
    suffix: str, cycle_time: int, tmp_path: Path
):
    private, public = write_keys(tmp_path)
    path, part, clock = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}", ScriptedClock()
    config = AudioRecordingConfiguration(
        path, sample_rate=16000, cycle_time=cycle_time, sign=private
    )
    async with AudioRecorder(config, clock=clock) as recorder:
        source = recorder.add_source("alice")
        for second in range(14):
            source.push(noise(second, 1, 16000), 16000, second * 16000)
            recorder.mark(f"second {second}")
            await clock.advance(1)
            if second == 11:
                saving = asyncio.ensure_future(recorder.save(part, last_s=3))
        report = await saving
    assert report.sha256 == digest(part)
    first = round(report.skipped_s * 16000)
    assert [(mark.label, mark.sample) for mark in report.marks] == [
        (f"second {second}", second * 16000 - first)
        for second in range(14)
        if 0 <= second * 16000 - first <= report.duration_s * 16000
    ]
    assert len(report.marks) >= 3
    assert marks_of(part) == report.marks
    assert report.bytes_written == part.stat().st_size
    assert len(read_all(part)[0]) == round(report.duration_s * 16000)
    for each in (part, path):
        assert verify_recording(each, key=public).ok
