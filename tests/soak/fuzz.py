"""Harmed files, for ``inspect``, ``mix`` and ``recover``: ``python -m soak.fuzz``.

The files of ``tests/foreign`` and what crashes leave of recordings are changed at random, and each
is given to the three in a process of its own. Wrong is: an error that is none of ours, more than
300 MB, more than 20 s of CPU time, a file that recovery changed, a ring that went without a
finished file. What was wrong is kept. Exits 1 if anything was.
"""

# ruff: noqa: T201 (it prints what it does)

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

from foreign.adts_recipes import ADTS
from foreign.container_recipes import CONTAINERS
from foreign.wav_recipes import WAVS
from roomtape.analysis.inspect import inspect_file
from roomtape.media.offline import MixInput, mix_files
from roomtape.storage.adts import with_mark
from roomtape.storage.recover import recover
from roomtape.storage.wav import wav_header
from roomtape.types.errors import RoomtapeError
from support.rings import first_version_ring, left_ring

MOST_MIB = 300
MOST_CPU_S = 20.0
HANG_S = 600
_NUMBERS = (0, 1, 2, 3, 4, 7, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass(frozen=True)
class Seed:
    """A file as it should be: what it is, how it is named, and its bytes."""

    name: str
    file_name: str
    data: bytes


def seeds(directory: Path) -> list[Seed]:
    """All that is harmed."""
    found = [Seed(name, "a.wav", make().data) for name, make in WAVS.items()]
    found += [Seed(name, "a.aac", make().data) for name, make in ADTS.items()]
    for number, (name, make_file) in enumerate(CONTAINERS.items()):
        place = directory / f"seed-{number}"
        place.mkdir()
        path = make_file(place).path
        found.append(Seed(name, path.name, path.read_bytes()))
    frames = ADTS["mono"]().data
    found += [
        Seed("a live wav", "a.wav", wav_header(16000, 640000) + bytes(range(256)) * 100),
        Seed("a live aac", "a.aac", with_mark(frames)[: len(frames) - 100]),
    ]
    for suffix in ("wav", "aac"):
        for version, make_ring in (("", left_ring), ("old ", first_version_ring)):
            place = directory / f"ring-{version}{suffix}"
            place.mkdir()
            ring = make_ring(place / f"a.{suffix}", 30)
            found.append(Seed(f"a {version}ring of {suffix}", ring.name, ring.read_bytes()))
    return found


def harmed(seed: Seed, others: list[Seed], dice: Random) -> bytes:
    """The file after one to eight changes."""
    data = bytearray(seed.data)
    for _ in range(dice.randint(1, 8)):
        # Mostly in front, where headers are.
        reach = dice.choice((64, 512, 8192, len(data)))
        at = dice.randrange(max(1, min(len(data), reach)))
        kind = dice.randrange(9)
        if kind == 0:
            data[at : at + 1] = bytes([dice.randrange(256)])
        elif kind == 1 and data:
            data[min(at, len(data) - 1)] ^= 1 << dice.randrange(8)
        elif kind == 2:
            data[at : at + 4] = struct.pack(dice.choice("<>") + "I", dice.choice(_NUMBERS))
        elif kind == 3:
            data[at : at + 2] = struct.pack("<H", dice.choice(_NUMBERS) & 0xFFFF)
        elif kind == 4:
            del data[at : at + dice.randrange(1, 200)]
        elif kind == 5:
            data[at:at] = dice.randbytes(dice.randrange(1, 200))
        elif kind == 6:
            del data[dice.randrange(max(1, len(data))) :]
        elif kind == 7:
            other = dice.choice(others).data
            start = dice.randrange(max(1, len(other)))
            data[at:at] = other[start : start + dice.randrange(1, 4000)]
        else:
            start = dice.randrange(max(1, len(data)))
            data[at:at] = data[start : start + dice.randrange(1, 2000)]
    return bytes(data)


def try_all(directory: Path, path: Path) -> None:
    """The three commands on one file.

    Raises:
        Exception: Something that the user would meet as an internal error, or a broken promise.
    """
    before = path.read_bytes()
    for work in (lambda: inspect_file(path), lambda: _mix(path, directory)):
        with contextlib.suppress(RoomtapeError):
            work()
    assert path.read_bytes() == before, "reading changed the file"
    there = {each.name for each in directory.iterdir()}
    try:
        recovered = recover(path)
    except RoomtapeError:
        assert path.read_bytes() == before, "recovery failed, and changed the file"
        assert {each.name for each in directory.iterdir()} == there, "something is left behind"
        return
    kept = any(each.read_bytes() == before for each in directory.iterdir())
    if path.suffix == ".ring":
        inspect_file(recovered.path)
    else:
        assert kept, "recovery changed the file, and kept no copy"


def _mix(path: Path, directory: Path) -> None:
    output = directory / "mixed.wav"
    mix_files([MixInput(path)], output, sample_rate=16000)
    output.unlink()


def _wrong(seed: Seed, data: bytes, directory: Path) -> str:
    """What was wrong with it, in words; empty if nothing was."""
    place = directory / "one"
    place.mkdir()
    path = place / seed.file_name
    path.write_bytes(data)
    complaint = directory / "complaint"
    complaint.write_text("")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(HANG_S)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 31, 1 << 31))
            try_all(place, path)
            code = 0
        except BaseException:
            complaint.write_text(traceback.format_exc())
        finally:
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    shutil.rmtree(place)
    peak_mib, cpu_s = usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
    if status:
        return f"status {status}\n{complaint.read_text()}"
    if peak_mib > MOST_MIB:
        return f"{peak_mib:.0f} MiB"
    return f"{cpu_s:.1f} s of CPU time" if cpu_s > MOST_CPU_S else ""


def fuzz(minutes: float, number: int, keep: Path) -> Iterator[str]:
    """Harm files until the time is over; what was wrong."""
    dice = Random(number)
    until = time.monotonic() + 60 * minutes
    tried = 0
    with tempfile.TemporaryDirectory(prefix="roomtape-fuzz-") as name:
        directory = Path(name)
        all_seeds = seeds(directory)
        print(f"{len(all_seeds)} files to harm", flush=True)
        told = time.monotonic()
        while time.monotonic() < until:
            seed = dice.choice(all_seeds)
            data = harmed(seed, all_seeds, dice)
            tried += 1
            if wrong := _wrong(seed, data, directory):
                keep.mkdir(exist_ok=True)
                place = keep / f"{tried}-{seed.file_name}"
                place.write_bytes(data)
                yield f"{seed.name}, kept at {place}: {wrong}"
            if time.monotonic() - told > 60:
                told = time.monotonic()
                print(f"{tried} files tried", flush=True)
    print(f"{tried} files tried", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", type=Path, default=Path("fuzz-out"))
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        print("ffmpeg is needed to make the files: install it")
        return 2
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    count = 0
    for wrong in fuzz(options.minutes, options.seed, options.keep):
        count += 1
        print(wrong, flush=True)
    print(f"seed {options.seed}: {count} violations")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
