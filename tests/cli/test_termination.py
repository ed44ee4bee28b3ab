"""Commands that are told to end, at each moment at which one can be."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from roomtape import cli
from roomtape.storage.disk import Disk
from roomtape.storage.wav import wav_header
from support.damage import write_wav
from support.faulty_disk import KilledAtTheEnd
from support.scripted_recording import record_scripted
from support.signals import speech

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def to_mix(directory: Path) -> list[str]:
    write_wav(directory / "a.wav", speech("alice", 2.0))
    (directory / "out.wav").write_bytes(b"older")
    return ["mix", "a.wav", "-o", "out.wav"]


def to_mix_into_aac(directory: Path) -> list[str]:
    write_wav(directory / "a.wav", speech("alice", 2.0))
    (directory / "out.aac").write_bytes(b"older")
    return ["mix", "a.wav", "-o", "out.aac"]


def a_ring(directory: Path) -> list[str]:
    path = directory / "call.wav"
    asyncio.run(record_scripted(path, seconds=3, cycle_time=10, disk=KilledAtTheEnd()))
    # What a ring becomes is told inside it, by a path.
    return ["recover", "call.wav.ring", "-o", "found.wav"]


def a_live_file(directory: Path) -> list[str]:
    samples = speech("alice", 2.0).tobytes()
    (directory / "call.wav").write_bytes(wav_header(48000, 10**6) + samples[:-1])
    return ["recover", "call.wav"]


def to_export(directory: Path) -> list[str]:
    asyncio.run(record_scripted(directory / "call.wav", seconds=1, report=True))
    return ["export", "--vcon", "call.wav"]


@contextmanager
def told_at(number: int, name: signal.Signals, called: list[str]) -> Iterator[None]:
    """The signal comes when the disk has been called ``number`` times since there is something to
    undo, before that call returns."""
    before = Disk.call

    def call(self: Disk, what: str, function: Callable[..., Any], *args: Any) -> Any:
        done = before(self, what, function, *args)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            return done
        called.append(what)
        if len(called) == number:
            os.kill(os.getpid(), name)
        return done

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Disk, "call", call)
        yield


def run(arguments: list[str]) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as ended:
        return int(str(ended.code))


def snapshot(directory: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in directory.iterdir()}


def without_names(found: dict[str, bytes]) -> dict[str, bytes]:
    """A vCon has a number of its own each time."""
    return {name: b"" if name.endswith(".vcon") else data for name, data in found.items()}


@pytest.mark.parametrize("name", SIGNALS, ids=lambda each: each.name)
@pytest.mark.parametrize("prepare", [to_mix, to_mix_into_aac, a_ring, a_live_file, to_export])
def test_what_is_told_to_end_is_whole_or_has_changed_nothing(
    prepare: Callable[[Path], list[str]],
    name: signal.Signals,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    (as_it_was := tmp_path / "before").mkdir()
    arguments = prepare(as_it_was)
    here = tmp_path / "here"

    def told(number: int) -> tuple[int, list[str]]:
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(as_it_was, here)
        monkeypatch.chdir(here)
        called: list[str] = []
        with told_at(number, name, called):
            return run(arguments), called

    code, calls = told(0)
    assert code == 0
    before, whole = snapshot(as_it_was), snapshot(here)
    assert whole != before
    codes = set()
    for number in range(1, len(calls) + 1):
        code, _ = told(number)
        assert code in (0, 128 + name), (number, calls[number - 1])
        expected = before if code else whole
        assert without_names(snapshot(here)) == without_names(expected), (number, calls[number - 1])
        codes.add(code)
    assert codes == {0, 128 + name}
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
