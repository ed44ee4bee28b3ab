"""Fuzzing with coverage of what reads headers: ``python -m soak.fuzz_parsers``.

Needs atheris (``pip install -c constraints.txt -e '.[fuzz]'``). It goes on until it is told to stop
(libFuzzer's ``-max_total_time=3600``), or until something else than one of our errors is raised.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["roomtape.analysis", "roomtape.storage"]):
    from roomtape.analysis.decoding.adts_walk import AdtsWalk
    from roomtape.analysis.decoding.ogg import ogg_links
    from roomtape.analysis.decoding.raw_block import holds_no_audio
    from roomtape.analysis.decoding.tags import leading_tags_bytes
    from roomtape.analysis.pcm_reader import PcmReader
    from roomtape.analysis.wav_walk import begins_as_wav, walk_wav
    from roomtape.storage.adts import frame_at, has_mark, is_our_frame
    from roomtape.storage.ring_head import RING_HEADER_BYTES, is_ring, layouts
    from roomtape.storage.wav import our_header

from roomtape.types.errors import RoomtapeError

_NAMES = (Path("a.wav.ring"), Path("a.aac.1.ring"), Path("a.ring"))


def try_parsers(data: bytes) -> None:
    """Give ``data`` to every parser."""
    file = io.BytesIO(data)
    if begins_as_wav(data):
        with contextlib.suppress(RoomtapeError):
            layout = walk_wav(file, len(data))
            if layout.format.dtype:
                reader = PcmReader(Path("a.wav"), io.BytesIO(data), layout)
                frames = sum(len(block) for block in reader.blocks())
                assert frames == layout.frames
    our_header(data)
    has_mark(data)
    frame = frame_at(data, 0)
    if frame is not None:
        is_our_frame(data[:64], frame.rate_hz)
    walk = AdtsWalk(file, len(data))
    assert sum(len(each) for _, each in walk.frames()) == walk.frame_total_bytes <= len(data)
    assert ogg_links(file, len(data))[-1][1] == len(data)
    leading_tags_bytes(lambda at, count: data[at : at + count], len(data))
    holds_no_audio(data)
    for name in _NAMES if is_ring(data) else ():
        for layout_found in layouts(data[:RING_HEADER_BYTES], len(data), name):
            assert layout_found.slots > 0
            assert layout_found.file_bytes > 0


def main() -> None:
    atheris.Setup(sys.argv, try_parsers)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
