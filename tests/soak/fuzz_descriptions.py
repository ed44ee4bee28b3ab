"""Fuzzing with coverage of descriptions and candidates: ``python -m soak.fuzz_descriptions``.

Needs atheris, as :mod:`.fuzz_parsers`. What is found by our own door goes through aiortc's parser,
too: what that raises on an offer that was let in ends the call, and nothing else.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["roomtape.rooms.webrtc.description"]):
    from roomtape.rooms.webrtc.description import Description, DescriptionError

from roomtape.rooms.rtp.bounds import MAX_SDP_BYTES
from roomtape.rooms.webrtc.call import parsed_candidate
from support.hostile import candidate, offer

_SEEDS = (offer(), offer(3, 4), offer(2, 1, "96 0"))


def try_descriptions(data: bytes) -> None:
    """As an offer, as an answer, and as a candidate."""
    text = data.decode("utf-8", "surrogateescape")
    for tracks in (1, 4):
        with contextlib.suppress(DescriptionError):
            description = Description(text, tracks=tracks)
            assert 1 <= len(description.taken) <= tracks
            assert len(description.sdp) <= MAX_SDP_BYTES + 1024
            again = Description(description.sdp, tracks=tracks)
            assert len(again.taken) == len(description.taken)
            answer = description.answered(description.sdp)
            assert answer.count("\r\nm=") + answer.startswith("m=") >= len(description.taken)
    for line in text.splitlines()[:8]:
        found = parsed_candidate(line)
        assert found is None or 0 < found.port < 65536


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        for number, seed in enumerate((*_SEEDS, candidate(1))):
            Path(name, f"seed-{number}").write_text(seed)
        atheris.Setup([*sys.argv, name], try_descriptions)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
