"""``roomtape verify``, and what is signed on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from roomtape.storage.proof.canonical import canonical_json
from support.keys import write_keys
from support.program import Cli, assert_one_line_error
from support.readers import run
from support.scripted_recording import record_scripted


def written(path: Path) -> dict[str, Any]:
    """The report of ``path``."""
    said: dict[str, Any] = json.loads(path.with_name(path.name + ".json").read_text())
    return said


async def test_one_line_says_whether_they_belong_together(tmp_path: Path, run_here: Cli):
    private, public = write_keys(tmp_path)
    path = tmp_path / "a.wav"
    await record_scripted(path, sign=private)
    der = run("openssl", "pkey", "-pubin", "-in", str(public), "-outform", "DER")
    (tmp_path / "der").write_bytes(der)
    named = run("sha256sum", str(tmp_path / "der")).split()[0].decode()
    done = run_here("verify", path, "--key", public)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{path}: file and report belong together; signed by key {named}\n"
    hashed = run("sha256sum", str(path)).split()[0].decode()
    found = json.loads(run_here("verify", path, "--json").stdout)
    assert (found["ok"], found["verdict"], found["key_fingerprint"]) == (True, "match", named)
    assert found["sha256"] == found["expected_sha256"] == hashed
    path.write_bytes(path.read_bytes()[:-2])
    done = run_here("verify", path)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (1, "", 1)
    assert "the file was changed" in done.stdout
    assert json.loads(run_here("verify", path, "--json").stdout)["verdict"] == "file_changed"


async def test_openssl_verifies_the_signature_of_the_canonical_form(tmp_path: Path):
    private, public = write_keys(tmp_path)
    path = tmp_path / "a.aac"
    await record_scripted(path, sign=private)
    said = written(path)
    proof = said.pop("proof")
    (tmp_path / "signature.b64").write_text(proof["signature"])
    (tmp_path / "form").write_bytes(canonical_json(said))
    (tmp_path / "signature").write_bytes(run("base64", "-d", str(tmp_path / "signature.b64")))
    told = run(
        *("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"),
        *("-in", str(tmp_path / "form"), "-sigfile", str(tmp_path / "signature")),
    )
    assert b"Signature Verified Successfully" in told


@pytest.mark.parametrize("option", ["--sign", "--key"])
async def test_a_bad_key_is_one_line(option: str, tmp_path: Path, run_here: Cli):
    (tmp_path / "bad.pem").write_text("my other password")
    await record_scripted(tmp_path / "a.wav", report=True)
    if option == "--sign":
        done = run_here(
            *("record", "http://127.0.0.1:1/room", "-o", tmp_path / "b.wav"),
            *("--sign", tmp_path / "bad.pem"),
        )
    else:
        done = run_here("verify", tmp_path / "a.wav", "--key", tmp_path / "bad.pem")
    assert_one_line_error(done, 2, "key in PEM")
    assert "my other password" not in done.stderr


async def test_a_recovered_file_gets_a_report_if_asked_for(tmp_path: Path, run_here: Cli):
    private, public = write_keys(tmp_path)
    path = tmp_path / "a.aac"
    await record_scripted(path)
    path.write_bytes(path.read_bytes()[:-3])
    assert run_here("verify", path).returncode == 1
    done = run_here("recover", path, "--sign", private)
    assert done.returncode == 0
    report = written(path)
    assert report["recovered"]["cut_bytes"] > 0
    assert f"sha256: {report['sha256']}" in done.stdout.splitlines()
    assert run_here("verify", path, "--key", public).returncode == 0


def test_no_report_and_no_file(tmp_path: Path, run_here: Cli):
    path = tmp_path / "a.wav"
    assert_one_line_error(run_here("verify", path), 1, "no such file")
    path.write_bytes(b"x")
    done = run_here("verify", path)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert f"there is no report at {path}.json" in done.stdout
