"""What is logged can be read by machines, and holds no secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from livekit import api

from roomtape.fleet.logs import LogFormat, log_to_stderr

SECRET = "a-secret-of-the-service"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("roomtape")
    before = root.handlers[:], root.level, ours.level
    yield
    logging.captureWarnings(False)
    root.handlers[:], root.level, ours.level = before


Capture = pytest.CaptureFixture[str]


def fail() -> None:
    token = api.AccessToken("key", SECRET * 2).with_identity("x").to_jwt()
    try:
        raise ValueError(f"cannot join wss://x/rtc?access_token={token} with {SECRET}")
    except ValueError:
        logging.getLogger("roomtape.fleet").exception(
            "it failed", extra={"room": f"a\nb {SECRET}", "lease": 3}
        )


def test_json_is_one_object_a_line_with_its_facts(capsys: Capture):
    log_to_stderr(LogFormat.json, worker="w", secrets=[SECRET])
    logging.getLogger("roomtape.fleet").info("recording", extra={"room": "a\nb", "lease": 3})
    fail()
    said, failed = map(json.loads, capsys.readouterr().err.splitlines())
    assert (said["message"], said["room"], said["lease"]) == ("recording", "a\nb", 3)
    assert (said["worker"], said["level"]) == ("w", "info")
    assert said["time"].endswith("+00:00")
    assert "ValueError" in failed["traceback"]


@pytest.mark.parametrize("how", LogFormat)
def test_neither_a_secret_nor_a_token_is_in_any_line(capsys: Capture, how: LogFormat):
    log_to_stderr(how, worker="w", secrets=[SECRET])
    fail()
    said = capsys.readouterr().err
    assert "[token]" in said
    assert "[secret]" in said
    assert SECRET not in said
    assert "eyJ" not in said
    assert len(said.splitlines()) == 1


def test_what_others_log_is_told_when_it_is_a_warning(capsys: Capture):
    log_to_stderr(LogFormat.text, worker="w", secrets=[])
    logging.getLogger("aiohttp").info("a detail")
    logging.getLogger("aiohttp").warning("something odd")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "something odd (worker=w" in said
