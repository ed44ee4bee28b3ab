"""Cue points in WAV files, ours and others'."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.analysis.marks import marks_of
from roomtape.storage.disk import Disk
from roomtape.storage.notes.cues import cue_chunks, cues_at_end, read_cues
from roomtape.storage.recover_live import repair_wav
from roomtape.storage.wav import HEADER_BYTES, wav_header
from roomtape.types import Mark
from support.examples import examples
from support.signals import noise


def read_from(data: bytes):
    file = io.BytesIO(data)

    def read_at(position: int, count: int) -> bytes:
        file.seek(position)
        return file.read(count)

    return read_at


_LABELS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)


@examples(60)
@given(st.lists(st.tuples(st.integers(0, 1 << 32), _LABELS), max_size=20), st.binary(max_size=99))
def test_what_was_written_is_read(given: list[tuple[int, str]], before: bytes):
    before += bytes(len(before) % 2)
    marks = tuple(
        Mark(sample / 48000, sample, label)
        for sample, label in sorted(given, key=lambda each: each[0])
        if sample < 1 << 32
    )
    chunks = cue_chunks([*marks, Mark(0.0, 1 << 32, "too far")])
    data = before + chunks
    assert len(chunks) % 2 == 0
    assert read_cues(read_from(data), len(before), len(data), rate_hz=48000) == marks
    assert cues_at_end(read_from(data), len(data)) == len(chunks)
    assert cues_at_end(read_from(data + b"xx"), len(data) + 2) == 0


@examples(60)
@given(st.binary(max_size=300))
def test_whatever_stands_there_is_read_without_an_error(garbage: bytes):
    for head in (b"", b"cue ", b"LIST\x40\0\0\0adtl", b"cue \x30\0\0\0"):
        data = head + garbage
        read_cues(read_from(data), 0, len(data), rate_hz=48000)
        cues_at_end(read_from(data), len(data))


@pytest.mark.parametrize("place", ["before", "behind"])
def test_the_cues_of_others_are_read_wherever_they_stand(place: str, tmp_path: Path):
    pcm = noise(1, 0.5, 16000).tobytes()
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    data = struct.pack("<4sI", b"data", len(pcm)) + pcm
    cues = cue_chunks([Mark(0.25, 4000, "theirs")])
    body = fmt + (cues + data if place == "before" else data + cues)
    path = tmp_path / "a.wav"
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WAVE") + body)
    assert marks_of(path) == (Mark(0.25, 4000, "theirs"),)


def test_a_large_file_has_its_marks_and_is_known_to_be_whole(tmp_path: Path):
    """RF64: sparse, so that it costs nothing."""
    path = tmp_path / "a.wav"
    data_bytes = (1 << 32) + 64
    cues = cue_chunks([Mark(1.0, 48000, "early"), Mark(40000.0, 1_920_000_000, "late")])
    with path.open("w+b") as file:
        file.write(wav_header(48000, data_bytes, behind_bytes=len(cues)))
        file.seek(HEADER_BYTES + data_bytes)
        file.write(cues)
        file.flush()
        assert not repair_wav(file.fileno(), path, None, Disk()).replaced
    assert [mark.label for mark in marks_of(path)] == ["early", "late"]
