"""What is old is removed; what is being written, recovered, or not ours, never."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from roomtape.fleet.files.retention import Removed, remove_old

NOW_S = time.time()
DAY_S = 86400.0
NAME = "20261126T101530.123Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a%2Fb").mkdir()
    return tmp_path / "a%2Fb"


def put(path: Path, age_days: float, size: int = 10) -> Path:
    path.write_bytes(bytes(size))
    os.utime(path, (NOW_S - age_days * DAY_S,) * 2)
    return path


def sweep(folder: Path, *in_use: Path, keep_days: float = 7) -> Removed:
    return remove_old(folder.parent, keep_s=keep_days * DAY_S, now_s=NOW_S, in_use=in_use)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_old_goes_with_its_report(folder: Path):
    put(folder / f"{NAME}.aac", 8)
    put(folder / f"{NAME}.aac.json", 6)  # somebody has read it since
    put(folder / f"{NAME}.1.aac", 9)  # what recovery moved aside
    put(folder / ".roomtape-123-1.part", 9)
    put(folder / "20261127T101530.123Z.aac", 6)
    put(folder / "20261127T101530.123Z.aac.json", 6)
    removed = sweep(folder)
    assert left(folder) == ["20261127T101530.123Z.aac", "20261127T101530.123Z.aac.json"]
    assert (removed.files, removed.bytes) == (4, 40)
    assert sweep(folder) == Removed()


def test_a_report_goes_only_after_its_recording(folder: Path):
    put(folder / f"{NAME}.aac", 6)
    put(folder / f"{NAME}.aac.json", 30)
    put(folder / "20261127T101530.123Z.aac.json", 30)  # and one of none
    put(folder / "20261127T101530.123Z.aac.1.json", 30)
    sweep(folder)
    assert left(folder) == [f"{NAME}.aac", f"{NAME}.aac.json"]


def test_what_is_being_written_or_recovered_stays(folder: Path):
    locked = put(folder / f"{NAME}.aac", 30)
    noted = put(folder / "20261127T101530.123Z.aac", 30)
    with locked.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert sweep(folder, noted) == Removed()
    assert sweep(folder).files == 2


def test_only_what_a_worker_has_named_is_touched(folder: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    target = put(outside / "call.aac", 30)
    kept = [
        put(folder / "call.aac", 30),
        put(folder / f"{NAME}.txt", 30),
        put(tmp_path / f"{NAME}.aac", 30),  # in no room's folder
    ]
    (folder / f"{NAME}.aac").symlink_to(target)
    (folder / "20261127T101530.123Z.aac").mkdir()
    (tmp_path / "linked").symlink_to(outside)
    put(outside / f"{NAME}.aac", 30)
    (tmp_path / ".journal").mkdir()
    kept.append(put(tmp_path / ".journal" / f"{NAME}.aac", 30))
    assert sweep(folder).files == 1  # the one in the folder "outside"
    assert all(path.exists() for path in [*kept, target, folder / f"{NAME}.aac"])


def test_a_folder_goes_when_it_has_been_empty_for_a_while(folder: Path):
    put(folder / f"{NAME}.aac", 30)
    sweep(folder)
    assert folder.exists()  # somebody may be about to record there
    os.utime(folder, (NOW_S - DAY_S,) * 2)
    sweep(folder)
    assert not folder.exists()


def test_a_directory_that_is_not_there_has_nothing_old(tmp_path: Path):
    assert sweep(tmp_path / "no" / "where") == Removed()
