"""``roomtape record``: whatever happens, the file is finished, and the user is told in a line."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from roomtape.cli.record import parse_room
from roomtape.media.voices import voice_path
from roomtape.types.errors import ConfigurationError
from support.lag import Lag
from support.processes import stop
from support.program import (
    Cli,
    assert_one_line_error,
    obey_permissions,
    read_until,
    roomtape_environment,
    run_roomtape,
    start_roomtape,
)
from support.readers import read_all
from support.serving import serving
from support.signals import offset_of, speech

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as (_, url):
        yield url


# -- how it ends ----------------------------------------------------------------------------------


@pytest.mark.network
def test_a_closed_terminal_finishes_the_file(tmp_path: Path, server: str):
    process = start_roomtape("record", f"{server}/hup", "-o", tmp_path / "hup.aac")
    try:
        read_until(process, "recording to")
        process.send_signal(signal.SIGHUP)
        rest, errors = process.communicate(timeout=120)
    finally:
        stop(process)
    assert (process.returncode, errors) == (0, "")
    assert f"finished {tmp_path}/hup.aac" in rest
    assert {each.name for each in tmp_path.iterdir()} == {"hup.aac"}


@pytest.mark.network
def test_ctrl_c_and_sigterm_finish_the_files_and_two_recorders_know_of_each_other(
    tmp_path: Path, server: str, lag: Lag
):
    room = f"{server}/signals"
    plain = start_roomtape("record", room, "-o", tmp_path / "int.wav", "--name", "plain")
    plain_lines = read_until(plain, "recording to")
    as_json = start_roomtape(
        *("record", room, "-o", tmp_path / "term.aac", "--name", "json"),
        *("--json", "--report", "--cycle-time", "10"),
    )
    try:
        json_lines = read_until(as_json, '"start"')
        plain_lines += read_until(plain, "json is recording, too")
        time.sleep(1.5)
        plain.send_signal(signal.SIGINT)
        json_lines += read_until(as_json, '"left"')
        as_json.send_signal(signal.SIGTERM)
        rest, plain_errors = plain.communicate(timeout=120)
        json_rest, json_errors = as_json.communicate(timeout=120)
    finally:
        stop(plain)
        stop(as_json)

    assert (plain.returncode, plain_errors) == (0, "")
    assert (as_json.returncode, json_errors) == (0, "")
    assert plain_lines[0] == f"recording to {tmp_path}/int.wav\n"
    assert f"finished {tmp_path}/int.wav\n" in rest
    assert re.search(r"int\.wav: 0:0\d\.\d+, \d+ bytes", rest), rest
    events = [json.loads(line) for line in [*json_lines, *json_rest.splitlines()]]
    assert all({"event", "time"} <= event.keys() for event in events)
    told = [(event["event"], event.get("uid"), event.get("recording")) for event in events]
    assert told[:3] == [
        ("joined", "plain", None),
        ("recording", "plain", True),
        ("start", None, None),
    ]
    assert [event for event, _, _ in told[3:] if event != "recording"] == [
        "left",
        "finish",
        "report",
    ]
    report = events[-1]["report"]
    assert json.loads((tmp_path / "term.aac.json").read_text()) == report
    for name, rate in (("int.wav", 32000), ("term.aac", 32000)):
        pcm, read_rate = read_all(tmp_path / name)
        assert read_rate == rate
        assert 1.4 < len(pcm) / rate < 10 + 10 * lag.worst_s
    assert {each.name for each in tmp_path.iterdir()} == {"int.wav", "term.aac", "term.aac.json"}


@pytest.mark.network
def test_it_stops_by_itself_after_its_duration_and_what_is_spoken_is_heard(
    tmp_path: Path, server: str, lag: Lag
):
    room = f"{server}/speak%20up"
    hears = start_roomtape(
        *("record", room, "-o", tmp_path / "hears.wav", "--channels", "2"),
        *("--sample-rate", "48000", "--name", "ear", "--stems", tmp_path / "stems"),
    )
    try:
        lines = read_until(hears, "recording to")
        speaks = run_roomtape(
            *("record", room, "-o", tmp_path / "speaks.wav", "--position", "local"),
            *("--sample-rate", "48000", "--duration", "5", "--name", "mouth"),
            *("--speak", voice_path("dave")),
        )
        lines += read_until(hears, "mouth left")
        hears.terminate()
        rest, errors = hears.communicate(timeout=120)
        said = "".join(lines) + rest
    finally:
        stop(hears)
    assert (speaks.returncode, speaks.stderr) == (0, "")
    assert (hears.returncode, errors) == (0, "")
    assert "mouth joined\n" in said
    assert "mouth is recording, too\n" in said
    assert re.search(r"mouth: in the room .* spoke \d\.\d s, lost 0\.\d\d s", said), said
    assert re.search(r"mouth \(local\): in the room", speaks.stdout), speaks.stdout
    mine, _ = read_all(tmp_path / "speaks.wav")
    assert abs(len(mine) / 48000 - 5) < 0.1 + lag.worst_s
    sides, _ = read_all(tmp_path / "hears.wav")
    assert not sides[:, 0].any(), "the ear says nothing"
    heard = sides[:, 1]
    assert len(heard) > len(mine)
    assert "1 stem, opened by" in said
    assert (tmp_path / "stems" / "hears.rpp").exists()
    assert np.array_equal(read_all(tmp_path / "stems" / "001-mouth.wav")[0], heard)
    voice = speech("dave")
    offset_s, likeness = offset_of(mine, voice, 48000)
    assert 0 <= offset_s < 1 + lag.worst_s
    assert likeness > 0.99, "what is published is what is recorded"
    assert offset_of(voice[48000 : 4 * 48000], heard, 48000)[1] > 0.8


@pytest.mark.network
def test_a_server_that_is_killed_ends_the_recording_with_a_complete_file(tmp_path: Path):
    # As the program, only that it gives the server up after two seconds instead of thirty.
    code = (
        "import sys, roomtape.rooms.webrtc.signalling as signalling\n"
        "signalling.RECONNECT_FOR_S = 2.0\n"
        "from roomtape.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    path = tmp_path / "a.wav"
    with (
        serving() as (server, url),
        subprocess.Popen(
            [sys.executable, "-c", code, "record", f"{url}/room", "-o", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=roomtape_environment(),
        ) as recording,
    ):
        try:
            read_until(recording, "recording to")
            time.sleep(1)
            server.kill()
            said, errors = recording.communicate(timeout=120)
        finally:
            stop(recording)
    assert recording.returncode == 1
    assert re.fullmatch(r"roomtape: the room was lost: .+; the file is complete\n", errors)
    assert f"finished {path}\n" in said
    assert len(read_all(path)[0]) > 2.5 * 32000


@pytest.mark.network
def test_on_a_terminal_it_shows_meters(tmp_path: Path, server: str, lag: Lag):
    mouth = start_roomtape(
        *("record", f"{server}/meters", "-o", tmp_path / "b.wav", "--name", "mouth"),
        *("--speak", voice_path("alice")),
    )
    ours, theirs = pty.openpty()
    try:
        read_until(mouth, "recording to")
        with subprocess.Popen(
            [
                *(sys.executable, "-m", "roomtape", "record", f"{server}/meters"),
                *("-o", str(tmp_path / "a.wav"), "--duration", "4"),
            ],
            stdout=theirs,
            stderr=theirs,
            stdin=theirs,
            env=roomtape_environment({"TERM": "xterm-256color"}),
        ) as recording:
            os.close(theirs)
            shown = b""
            try:
                while piece := os.read(ours, 65536):
                    shown += piece
            except OSError:  # the other end is closed
                pass
            assert recording.wait(120) == 0
    finally:
        os.close(ours)
        stop(mouth)
        mouth.communicate()
    text = shown.decode()
    assert "● REC" in text
    assert "mouth" in text
    assert "█" in text
    assert "Traceback" not in text
    length_s = len(read_all(tmp_path / "a.wav")[0]) / 32000
    assert 3.9 < length_s < 4.2 + lag.worst_s


# -- what it refuses ------------------------------------------------------------------------------


@pytest.mark.network
def test_tokens_open_rooms_and_nothing_else_does(tmp_path: Path):
    path = tmp_path / "a.wav"
    with serving("--secret", SECRET) as (_, url):
        room = f"{url}/standup"
        for token in ([], ["--token", "nonsense"]):
            done = run_roomtape("record", room, "-o", path, "--name", "me", *token)
            assert_one_line_error(done, 1, "token")
            assert list(tmp_path.iterdir()) == []
        made = run_roomtape("token", "--room", "standup", "--uid", "me", "--secret", SECRET)
        assert made.returncode == 0, made.stderr
        token_for_me = made.stdout.strip()
        other = run_roomtape("record", room, "-o", path, "--name", "you", "--token", token_for_me)
        assert_one_line_error(other, 1, "token")
        done = run_roomtape(
            *("record", room, "-o", path, "--name", "me", "--duration", "0.5"),
            env={"ROOMTAPE_TOKEN": token_for_me},
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert len(read_all(path)[0]) > 0


@pytest.mark.network
def test_a_name_that_is_taken_is_one_line(tmp_path: Path, server: str):
    with start_roomtape("record", f"{server}/taken", "-o", tmp_path / "a.wav") as first:
        try:
            read_until(first, "recording to")
            done = run_roomtape("record", f"{server}/taken", "-o", tmp_path / "b.wav")
        finally:
            stop(first)
    assert_one_line_error(done, 1, "recorder")
    assert not (tmp_path / "b.wav").exists()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
        return port


GOOD_ROOM = "http://127.0.0.1:9/standup"  # refused at once, if it came to that

BAD: dict[str, tuple[list[str], int, str]] = {
    "no room": (["http://127.0.0.1:8080", "-o", "a.wav"], 2, "names no room"),
    "no server": (["/standup", "-o", "a.wav"], 2, "names no room"),
    "another protocol": (["ftp://127.0.0.1/standup", "-o", "a.wav"], 2, "names no room"),
    "a port that is none": (["http://127.0.0.1:port/standup", "-o", "a.wav"], 2, "port"),
    "server not running": ([GOOD_ROOM, "-o", "a.wav"], 1, "127.0.0.1:9"),
    "unknown suffix": ([GOOD_ROOM, "-o", "a.mp3"], 2, "must end in .wav or .aac"),
    "rate": ([GOOD_ROOM, "-o", "a.wav", "--sample-rate", "12345"], 2, "12345"),
    "channels": ([GOOD_ROOM, "-o", "a.wav", "--channels", "3"], 2, "channels is 3"),
    "cycle time": ([GOOD_ROOM, "-o", "a.wav", "--cycle-time", "7"], 2, "cycle_time is 7"),
    "position": ([GOOD_ROOM, "-o", "a.wav", "--position", "left"], 2, "position"),
    "quality": ([GOOD_ROOM, "-o", "a.aac", "--quality", "best"], 2, "quality"),
    "no duration": ([GOOD_ROOM, "-o", "a.wav", "--duration", "0"], 2, "duration"),
    "negative duration": ([GOOD_ROOM, "-o", "a.wav", "--duration", "-5"], 2, "duration"),
    "no number": ([GOOD_ROOM, "-o", "a.wav", "--duration", "nan"], 2, "duration"),
    "missing directory": ([GOOD_ROOM, "-o", "nowhere/a.wav"], 1, "directory does not exist"),
    "directory that is a file": ([GOOD_ROOM, "-o", "text.wav/a.wav"], 1, "directory"),
    "missing voice": ([GOOD_ROOM, "-o", "a.wav", "--speak", "nosuch.wav"], 1, "no such file"),
    "text for a voice": ([GOOD_ROOM, "-o", "a.wav", "--speak", "text.wav"], 1, "not an audio"),
    "empty voice": ([GOOD_ROOM, "-o", "a.wav", "--speak", "empty.wav"], 1, "empty.wav"),
    "no output": ([GOOD_ROOM], 2, "output"),
    "no name": ([GOOD_ROOM, "-o", "a.wav", "--name", ""], 1, "must not be empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_leaves_nothing_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, run_here: Cli
):
    arguments, code, words = BAD[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.wav").write_text("this is no audio at all")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "a.wav").write_bytes(b"older")
    done = run_here("record", *arguments)
    assert_one_line_error(done, code, words)
    assert done.stdout == ""
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {
        "text.wav": b"this is no audio at all",
        "empty.wav": b"",
        "a.wav": b"older",
    }


@pytest.mark.network
def test_a_place_where_nothing_may_be_written_is_one_line(tmp_path: Path, server: str):
    shut = tmp_path / "shut"
    shut.mkdir()
    (shut / "a.wav").write_bytes(b"older")
    shut.chmod(0o555)
    source = str(voice_path("alice"))
    try:
        for command in (["record", f"{server}/shut"], ["mix", source], ["demo"]):
            target = ["--out" if command == ["demo"] else "-o"]
            target += [str(shut / "demo" if command == ["demo"] else shut / "a.wav")]
            done = subprocess.run(
                [sys.executable, "-m", "roomtape", *command, *target],
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
                env=roomtape_environment(),
                preexec_fn=obey_permissions,
            )
            assert_one_line_error(done, 1, "permission denied")
            assert str(shut) in done.stderr
    finally:
        shut.chmod(0o755)
    assert {each.name: each.read_bytes() for each in shut.iterdir()} == {"a.wav": b"older"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("http://127.0.0.1:8080/standup", ("http://127.0.0.1:8080", "standup")),
        ("https://example.org/rooms/a%20b", ("https://example.org/rooms", "a b")),
        ("http://[::1]:8080/r%C3%BCck%2Fblick", ("http://[::1]:8080", "rück/blick")),
    ],
)
def test_a_room_is_named_by_url_and_name(text: str, wanted: tuple[str, str]):
    assert parse_room(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "standup", "http://127.0.0.1:8080/", "//host/room", "http:/x"]
)
def test_what_names_no_room_is_told_so(text: str):
    with pytest.raises(ConfigurationError, match="names no room"):
        parse_room(text)
