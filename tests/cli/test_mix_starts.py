"""When an input of a mix begins, as people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from roomtape import ConfigurationError, MixInput, mix_files
from roomtape.cli.mix import parse_input
from support.damage import write_wav
from support.signals import noise


@pytest.mark.parametrize(
    ("start", "seconds"),
    [("90", 90.0), ("1:30", 90.0), ("0:00.25", 0.25), ("1:02:03.5", 3723.5), ("100:00", 6000.0)],
)
def test_a_start_may_be_a_time(tmp_path: Path, start: str, seconds: float):
    source = write_wav(tmp_path / "a.wav", noise(1, 0.1))
    assert parse_input(f"{source}@{start}") == MixInput(source, round(seconds * 1e9))


@pytest.mark.parametrize(
    "start", ["1:60", "1:60:00", "1:2:3:4", ":30", "1:", "-1:30", "1:-30", "x:1", "1:nan", "1:1e1"]
)
def test_a_time_that_is_none_is_refused(tmp_path: Path, start: str):
    source = write_wav(tmp_path / "a.wav", noise(1, 0.1))
    with pytest.raises(ConfigurationError, match=r"or a time such as @1:30"):
        parse_input(f"{source}@{start}")


def test_an_input_may_be_named_by_a_string(tmp_path: Path):
    source = write_wav(tmp_path / "a.wav", noise(1, 0.5))
    result = mix_files([MixInput(str(source)), MixInput(source, 10**9)], str(tmp_path / "b.wav"))
    assert result.duration_s == 1.5
