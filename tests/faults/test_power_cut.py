"""The power goes while twelve recordings run: what was synced must be there, and readable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from roomtape.storage.recover import recover
from support.crash import crash_program
from support.disks import LoopDisk, loop_disk, need_root
from support.lag import Lag
from support.readers import read_all

MOST_LOST_S = 2.0
RUN_S = ("4.3", "11.9")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    need_root()
    with loop_disk(tmp_path) as disk:
        yield disk


@pytest.mark.root
@pytest.mark.realtime
@pytest.mark.parametrize("run_s", RUN_S)
def test_a_power_cut_costs_at_most_two_seconds(
    run_s: str, disk: LoopDisk, tmp_path: Path, lag: Lag
):
    with crash_program("power", disk.path, run_s) as program:
        said, _ = program.communicate(timeout=300)
    assert program.returncode == 0
    disk.unmount()
    disk.mount()
    ran_s: dict[str, float] = json.loads(said)
    assert len(ran_s) == 12
    lost_s = []
    for name, length_s in ran_s.items():
        rate_hz = int(name.split("-")[1].split(".")[0])
        start_s = 0.0
        if name.startswith("cyclic"):
            recovered = recover(disk.path / name)
            assert recovered.missing_s <= MOST_LOST_S + lag.worst_s
            start_s = recovered.start_s
            lost_s.append(recovered.missing_s)
        pcm, _ = read_all(disk.path / name)
        lost_s.append(length_s - start_s - len(pcm) / rate_hz)
    print(f"a power cut after {run_s} s cost at most {max(lost_s):.2f} s")  # noqa: T201
    assert max(lost_s) <= MOST_LOST_S + lag.worst_s
