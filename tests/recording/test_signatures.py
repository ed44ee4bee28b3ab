"""Who changed what: the seal of a report, its signature, and the keys for it."""

from __future__ import annotations

import json
import os
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
from roomtape.storage.proof.keys import load_public_key
from roomtape.types import AudioRecordingCode
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import ConfigurationError, FileError
from support.damage import names_in
from support.keys import write_keys
from support.report_files import beside, written
from support.scripted_call import joined_call
from support.scripted_recording import record_scripted


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
