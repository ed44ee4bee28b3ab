"""3. The whole pipeline against what cannot be left out: the encoder, and writing the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from common import HERE, PYTHON, Row, cost_of, folder, in_turn
from offline_mix import roomtape_mix, speech_files

BAR = 1.15
_PARTICIPANTS = 8


def run(quick: bool) -> Iterator[Row]:
    runs = 7 if quick else 11  # a bar as near as this one needs many
    with folder() as where:
        files = speech_files(where, _PARTICIPANTS, 600)
        mixed = where / "mixed.wav"
        cost_of(roomtape_mix(files, mixed))
        aac, wav, encoded, copied = (where / name for name in ("o.aac", "o.wav", "e.aac", "c.wav"))

        def cpu_s(command: list[str | Path], output: Path) -> float:
            cost = cost_of(command)
            output.unlink()
            return cost.cpu_s

        child: list[str | Path] = [PYTHON, HERE / "limit_child.py"]
        # The same encoder from the command line of ffmpeg, without Python: of another version.
        options = ["-aac_coder", "fast", "-aac_tns", "0", "-aac_pns", "0"]
        options += ["-bt", "0", "-b:a", "64k"]
        cli: list[str | Path] = ["ffmpeg", "-y", "-v", "error", "-threads", "1", "-i", mixed]
        ours, alone, native, ours_wav, write = in_turn(
            runs,
            lambda: cpu_s(roomtape_mix(files, aac), aac),
            lambda: cpu_s([*child, "encode", mixed, encoded], encoded),
            lambda: cpu_s([*cli, "-c:a", "aac", *options, encoded], encoded),
            lambda: cpu_s(roomtape_mix(files, wav), wav),
            lambda: cpu_s([*child, "write", mixed, copied], copied),
        )
        what = f"{_PARTICIPANTS} x 10 min to 32 kHz"
        against = "the same encoder alone on the mixed signal"
        holds = ours / alone <= BAR
        yield Row("limit", f"{what} AAC", ours, "CPU s", alone, against, f"<= {BAR}", holds)
        against = "ffmpeg -c:a aac on the mixed signal, same options"
        yield Row("limit", f"{what} AAC", ours, "CPU s", native, against)
        against = "Python reading and writing the mixed bytes"
        yield Row("limit", f"{what} WAV", ours_wav, "CPU s", write, against)
