"""Stems that come in pieces of their own, and are cut where the recording is."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from roomtape.storage.adts import silent_frame
from roomtape.storage.disk import Disk
from roomtape.storage.sink import SinkFormat
from roomtape.storage.stems.files import StemFiles
from roomtape.storage.stems.stem_cut import StemCut
from roomtape.storage.stems.stem_file import StemFile
from roomtape.types import AudioFormat
from support.saved_parts import content

RATE = 16000
UNITS = 60
"""So long is the recording."""


class Stay:
    """Somebody whose stem comes in pieces, some of them before the mix is there.

    Args:
        name: Whose.
        begins, ends: In units of the recording.
    """

    def __init__(
        self, name: str, begins: int, ends: int, chance: random.Random, *, wav: bool
    ) -> None:
        self.name = name
        self.begins = begins
        self.units = [_unit(name, chance, wav=wav) for _ in range(ends - begins)]
        self.said = b"".join(self.units)
        self.file: StemFile | None = None
        self._given = 0
        self._wav = wav

    def give(self, count: int) -> tuple[StemFile, list[bytes], bool]:
        assert self.file is not None
        units = self.units[self._given : self._given + count]
        self._given += len(units)
        # PCM comes in pieces of any length.
        given = [b"".join(units)] if self._wav and units else units
        return self.file, given, self._given == len(self.units)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("suffix", ["wav", "aac"])
def test_however_far_ahead_they_come_they_are_cut_at_the_same_sample(
    seed: int, suffix: str, tmp_path: Path
):
    chance, wav = random.Random(seed), suffix == "wav"
    unit = RATE // 10 if wav else 1024
    sink_format = SinkFormat(
        AudioFormat(suffix), RATE, unit, 3200 if wav else 775, 0, datetime.now(UTC)
    )
    files = StemFiles(tmp_path, tmp_path / f"call-001.{suffix}", sink_format, Disk(), split=True)
    stays = [Stay("0", 0, UNITS, chance, wav=wav)]
    for name in ("1", "2"):
        begins = chance.randrange(0, UNITS - 2)
        stays.append(Stay(name, begins, chance.randrange(begins + 1, UNITS), chance, wav=wav))
    done: list[StemCut] = []
    cuts: list[int] = []
    for step in range(UNITS):
        for stay in stays:
            if stay.file is None and step >= stay.begins:
                stay.file = files.begin(stay.name, step)
        begun = [each for each in stays if each.file is not None and chance.random() < 0.5]
        files.write([each.give(chance.randrange(12)) for each in begun])
        files.work((step + 1) * unit)
        if chance.random() < 0.15 and step < UNITS - 1:
            cuts.append(step + 1)
            following = tmp_path / f"call-{len(cuts) + 1:03d}.{suffix}"
            files.cut((step + 1) * unit, following, done.append)
    files.write([each.give(UNITS) for each in stays])
    files.finish((UNITS - (cuts or [0])[-1]) * unit)
    for cut in done:
        cut.finish()
    assert (len(done), files.take_failures()) == (len(cuts), [])
    borders = [0, *cuts, UNITS]
    quiet = bytes(2 * unit) if wav else silent_frame(RATE)
    for stay in stays:
        parts = sorted(tmp_path.glob(f"*-{stay.name}-*.{suffix}"))
        first, last = (int(parts[at].stem[-3:]) for at in (0, -1))
        assert [int(each.stem[-3:]) for each in parts] == [*range(first, last + 1)]
        assert borders[first - 1] <= stay.begins < borders[first]
        before, after = stay.begins - borders[first - 1], borders[last] - stay.begins
        expected = quiet * before + stay.said + quiet * (after - len(stay.units))
        assert b"".join(map(content, parts)) == expected, stay.name


def _unit(name: str, chance: random.Random, *, wav: bool) -> bytes:
    if wav:
        return np.full(RATE // 10, chance.randrange(1, 9999), "<i2").tobytes()
    # Frames with something in them that tells them apart.
    frame = silent_frame(RATE) + bytes([int(name) + 1, chance.randrange(1, 255)])
    head = bytearray(frame[:7])
    head[4], head[5] = len(frame) >> 3, head[5] & 0x1F | (len(frame) & 7) << 5
    return bytes(head) + frame[7:]
