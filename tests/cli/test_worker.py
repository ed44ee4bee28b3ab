"""``roomtape worker``: what is wrong is one line, without a secret."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from roomtape.cli import main
from roomtape.fleet.metrics import Metrics
from support.program import assert_one_line_error, run_roomtape

KEY, SECRET = "devkey", "a-secret-that-nobody-may-read-at-all"
URL = "ws://127.0.0.1:9"
ENVIRONMENT = {"LIVEKIT_URL": URL, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}


@pytest.fixture
def error_of(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run it here; what it says on standard error."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ROOMTAPE_REDIS", raising=False)

    def run(*arguments: str, code: int = 2) -> str:
        assert main(["worker", str(tmp_path / "out"), *arguments]) == code
        said = capfd.readouterr().err
        assert said.startswith("roomtape: "), said
        assert said.count("\n") == 1, said
        assert SECRET not in said
        assert "eyJ" not in said
        return said

    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield run
    logging.captureWarnings(False)
    root.handlers[:], root.level = before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rooms", ""], "--rooms has a pattern of 0 characters"),
        (["--rooms", "x" * 301], "301 characters"),
        (["--processes", "-1"], "--processes is -1"),
        (["--max-rooms", "100000"], "--max-rooms is 100000"),
        (["--keep-days", "-1"], "--keep-days is -1"),
        (["--disk-floor", "-1"], "--disk-floor"),
        (["--lease", "0"], "--lease is 0"),
        (["--lease", "nan"], "--lease is nan"),
        (["--drain", "-1"], "--drain is -1"),
        (["--list-every", "0"], "--list-every is 0"),
        (["--alone", "0"], "--alone is 0"),
        (["--sample-rate", "8000"], "8000"),
        (["--name", "a b"], "the worker's name is 'a b'"),
        (["--beep", "15"], "--beep needs --visible NAME"),
        (["--beep", "0", "--visible", "R"], "beep_s"),
        (["--beep", "nan", "--visible", "R"], "beep_s"),
        (["--exclude", "x"] * 1001, "exclude is"),
        (["--listen", "9464"], "--listen is '9464'"),
        (["--listen", "x:y"], "--listen is 'x:y'"),
        (["--url", "nothing"], "the LiveKit URL"),
        (["--url", "ws://host:port"], "the LiveKit URL"),
        (["--url", f"ws://user:{SECRET}@host"], "the LiveKit URL"),
        (["--url", f"ws://host?token={SECRET}"], "the LiveKit URL"),
        (["--redis", f"redis://:{SECRET}@127.0.0.1"], "ROOMTAPE_REDIS"),
        (["--redis", "nothing"], "no Redis URL"),
        (["--log", "xml"], "--log"),
    ],
)
def test_wrong_usage_is_one_line(error_of, arguments: list[str], words: str):
    assert words in error_of(*arguments)


def test_without_a_key_it_says_where_to_put_it(error_of, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LIVEKIT_API_SECRET")
    assert "LIVEKIT_API_SECRET" in error_of()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold one line"),
        (f"{KEY} {SECRET}", "must hold one line"),
        (f"a: {SECRET}\nb: {SECRET}", "must hold one line"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_of_keys_that_is_none_is_told(error_of, tmp_path: Path, text, words: str):
    path = tmp_path / "keys"
    if text is not None:
        path.write_text(text)
    assert words in error_of("--keys-file", str(path))


def test_no_service_there_is_one_line(error_of, tmp_path: Path):
    keys = tmp_path / "keys"
    keys.write_text(f"# of the service\n{KEY}: {SECRET}\n")
    said = error_of("--keys-file", str(keys), "--listen", "127.0.0.1:0", code=1)
    assert f"no LiveKit service answers at {URL}" in said


class Refusing(BaseHTTPRequestHandler):
    """A LiveKit service that does not know the key, or something else that answers."""

    status, body = 401, b'{"code": "unauthenticated", "msg": "eyJ.x.y"}'

    def do_POST(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(kind: type[Refusing]) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_wrong_key_is_one_line(error_of):
    with serving(Refusing) as url:
        said = error_of("--url", url, "--listen", "127.0.0.1:0", code=1)
    assert "refuses the key" in said


@pytest.mark.parametrize(("status", "body"), [(404, b"<html>"), (500, b""), (200, b"<html>")])
def test_a_server_that_is_none_is_one_line(error_of, status: int, body: bytes):
    kind = type("Odd", (Refusing,), {"status": status, "body": body})
    with serving(kind) as url:
        said = error_of("--url", url, "--listen", "127.0.0.1:0", code=1)
    assert url in said


class Empty(Refusing):
    status, body = 200, b""  # no rooms, in protobuf


def test_a_redis_that_does_not_answer_is_one_line(error_of):
    with serving(Empty) as url, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taken.close()
        redis = f"redis://127.0.0.1:{port}"
        said = error_of("--url", url, "--redis", redis, "--listen", "127.0.0.1:0", code=1)
    assert f"{redis} does not answer" in said


def test_a_place_to_listen_that_is_taken_is_one_line(error_of):
    with serving(Empty) as url, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = error_of("--url", url, "--listen", f"127.0.0.1:{port}")
    assert f"cannot listen at 127.0.0.1:{port}" in said


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    done = run_roomtape(
        "worker", tmp_path / "file" / "out", "--listen", "127.0.0.1:0", env=ENVIRONMENT
    )
    assert_one_line_error(done, 1, "cannot record to")


def test_the_documentation_names_every_option_and_metric():
    text = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()
    done = run_roomtape("worker", "--help")
    options = {*re.findall(r"--[a-z][a-z-]+", done.stdout)} - {"--help"}
    assert len(options) > 15
    assert not {option for option in options if option not in text}
    shown = Metrics().text().decode()
    metrics = {*re.findall(r"^# TYPE roomtape_(\w+) (?:counter|gauge)", shown, re.MULTILINE)}
    assert len(metrics) > 15
    assert not {metric for metric in metrics - created(metrics) if metric not in text}


def created(metrics: set[str]) -> set[str]:
    """What the library adds to each counter: when it was made."""
    return {each for each in metrics if each.endswith("_created")}
