"""``roomtape record --split``: numbered files, each finished while the next is recorded to."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from roomtape.cli.choices import bytes_of, seconds_of
from roomtape.types.errors import ConfigurationError
from support.program import Cli, assert_one_line_error, run_roomtape
from support.readers import read_all
from support.serving import serving


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as (_, url):
        yield url


@pytest.mark.network
def test_a_recording_is_split_and_the_reports_name_each_other(tmp_path: Path, server: str):
    done = run_roomtape(
        *("record", f"{server}/split", "-o", tmp_path / "a.wav", "--split", "1s"),
        *("--split-bytes", "1GB", "--duration", "2.5", "--json"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    told = [event["event"] for event in events if event["event"] != "recording"]
    assert told == ["start", "part_finished", "part_finished", "finish", "report"]
    reports = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.json"))]
    assert reports[-1] == events[-1]["report"]
    assert [each["part"] for each in reports] == [1, 2, 3]
    for one, two in itertools.pairwise(reports):
        assert (one["next_file"], two["previous_file"]) == (two["file_path"], one["file_path"])
        assert one["duration_s"] == 1
    assert len(read_all(tmp_path / "a-002.wav")[0]) == 32000


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--split", "soon"),
        ("--split", "0.5"),
        ("--split", "-1h"),
        ("--split-bytes", "1h"),
        ("--split-bytes", "1k"),
    ],
)
def test_what_is_no_time_or_size_is_told_at_the_start(
    option: str, value: str, tmp_path: Path, run_here: Cli
):
    done = run_here("record", "http://127.0.0.1:1/a", "-o", tmp_path / "a.wav", option, value)
    assert_one_line_error(done, 2, "split")


def test_times_and_sizes_are_read_as_people_write_them():
    times = {"90": 90, "90s": 90, "1.5m": 90, "2 min": 120, "1h": 3600, "2d": 172800}
    assert {text: seconds_of("--split", text) for text in times} == times
    sizes = {"65536": 65536, "64KiB": 65536, "100 MB": 10**8, "1.5G": 1500000000, "2GiB": 2 << 30}
    assert {text: bytes_of("--split-bytes", text) for text in sizes} == sizes
    for text in ("", "h", "1y", "1e3", "nan"):
        with pytest.raises(ConfigurationError, match="such as"):
            seconds_of("--split", text)
    assert np.isfinite(seconds_of("--split", "9" * 200))
