"""Stems of a split recording: they are cut where the mix is, and lose nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from roomtape import RecordingReport
from support.faulty_disk import Snapshots
from support.readers import read_all
from support.saved_parts import content
from support.signals import noise
from support.talking import Talking

RATE = 16000


async def meet(path: Path, **config: object) -> RecordingReport:
    """Alice is there all the time, bob comes, goes and comes again, carol says nothing."""
    call = Talking(path, sample_rate=RATE, stems=path.parent / "stems", **config)
    await call.recorder.start()
    call.join("alice", noise(1, 12, RATE) // 4, RATE, local=True)
    call.join("carol", noise(1, 0, RATE), RATE)
    await call.talk(2.8)
    bob = call.join("bob", noise(2, 12, RATE) // 4, RATE)
    await call.talk(2.2)
    call.leave(bob)
    await call.talk(3.8)
    call.join("bob", noise(3, 12, RATE) // 4, RATE)
    await call.talk(1)
    return await call.recorder.stop()


@pytest.mark.parametrize("suffix", ["wav", "aac"])
@pytest.mark.parametrize("channels", [1, 2])
async def test_stems_are_cut_where_the_mix_is(suffix: str, channels: int, tmp_path: Path):
    one, many = tmp_path / "one", tmp_path / "many"
    for each in (one, many):
        each.mkdir()
    whole = await meet(one / f"call.{suffix}", channels=channels)
    last = await meet(many / f"call.{suffix}", channels=channels, split_s=2)
    reports = [
        json.loads((many / f"call-{number:03d}.{suffix}.json").read_text())
        for number in range(1, 6)
    ]
    assert reports[-1] == json.loads(json.dumps(last.as_dict()))
    assert b"".join(content(Path(each["file_path"])) for each in reports) == content(
        Path(whole.file_path)
    )
    stays: dict[str, list[bytes]] = {}
    for report in reports:
        names = [Path(each).name for each in report["stems"]]
        assert names == sorted(names)
        assert [Path(each).name for each in report["projects"]] == [
            f"call-{report['part']:03d}.lof",
            f"call-{report['part']:03d}.rpp",
        ]
        project = Path(report["projects"][1]).read_text()  # noqa: ASYNC240 (nobody waits)
        assert all(name in project for name in names)
        for stem in report["stems"]:
            assert stem.endswith(f"-{report['part']:03d}.{suffix}")
            length = len(read_all(stem)[0])
            assert length == round(report["duration_s"] * RATE), (stem, report["part"])
            stays.setdefault(Path(stem).name.split("-00")[0], []).append(content(Path(stem)))
        if suffix == "wav" and channels == 1:
            sum_of = np.sum([read_all(each)[0].astype(int) for each in report["stems"]], axis=0)
            assert np.array_equal(sum_of, read_all(report["file_path"])[0])
    assert {name: len(parts) for name, parts in stays.items()} == {
        "001-alice": 5,
        "002-carol": 5,
        "003-bob": 2,
        "004-bob": 1,
    }
    for stem in whole.stems:
        expected = content(Path(stem))
        ours = b"".join(stays[Path(stem).stem])
        assert ours in expected, stem
        # What is not in ours is the silence before it came, and after it had left.
        if suffix == "wav":
            rest = expected.replace(ours, b"", 1)
            assert not np.frombuffer(rest, "<i2").any()


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_who_leaves_while_the_last_file_is_written_has_a_stem_as_long_as_it(
    suffix: str, tmp_path: Path
):
    call = Talking(tmp_path / f"call.{suffix}", sample_rate=RATE, split_s=2)
    await call.recorder.start()
    call.join("alice", noise(1, 12, RATE) // 4, RATE)
    bob = call.join("bob", noise(2, 12, RATE) // 4, RATE)
    await call.talk(2.6)
    call.leave(bob)
    await call.talk(1.2)
    report = await call.end()
    lengths = {len(read_all(each)[0]) for each in (report.file_path, *report.stems)}
    assert lengths == {round(report.duration_s * RATE)}
    project = Path(report.projects[0]).read_text()  # noqa: ASYNC240 (nobody waits)
    assert f"duration {report.duration_s:.3f}" in project


async def test_killed_at_any_call_no_stem_is_wrong(tmp_path: Path):
    place, dead = tmp_path / "place", tmp_path / "dead"
    one = tmp_path / "one"
    for each in (place, one):
        each.mkdir()
    disk = Snapshots(tmp_path / "place", dead)
    whole = await meet(one / "call.wav")
    disk.on = True
    call = Talking(
        place / "call.wav", sample_rate=RATE, stems=place / "stems", split_s=1, disk=disk
    )
    await call.recorder.start()
    call.join("alice", noise(1, 12, RATE) // 4, RATE, local=True)
    await call.talk(2.2)
    await call.recorder.stop()
    disk.on = False
    alice = content(Path(whole.stems[0]))
    for remains in dead.iterdir():
        joined = b"".join(content(each) for each in sorted(remains.glob("stems/*alice*.wav")))
        assert alice.startswith(joined[: len(joined) // 2 * 2]), remains.name
