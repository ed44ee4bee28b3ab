"""Stems of voices at the recording's own rate are copied as they came, by the accelerator: with it
and without it, each byte of the mix and of every stem is the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.audio import arrays
from roomtape.audio.encoder import PcmEncoder, PcmStream
from roomtape.audio.mixing import mixer
from roomtape.audio.outputs import Stem
from roomtape.audio.session import RecordingSession
from roomtape.audio.timing.fast_path import add_all
from roomtape.types import NS_PER_S
from support.examples import examples
from support.scripted import Frame, push, spoken, uniform, without_accelerator
from support.signals import noise

RATE = 16000
SECONDS = 5


def recorded(
    parts: dict[str, list[Frame]], *, left_s: float | None = None, forgotten: str = ""
) -> dict[str, bytes]:
    """What the mix and each stem have."""
    session = RecordingSession()
    output = session.add_output(PcmEncoder(RATE), rate_hz=RATE)
    session.add_stems(lambda: PcmStream(RATE), most=64)
    tracks: dict[str, Any] = {
        name: session.add_source(name, local=False, joined_ns=0) for name in parts
    }
    waiting = sorted(
        ((frame.at_ns, name, frame) for name, frames in parts.items() for frame in frames),
        key=lambda each: each[:2],
    )
    files: dict[str, bytearray] = {"": bytearray()}
    stems: list[Stem] = []

    def write(units: list[bytes]) -> None:
        files[""] += b"".join(units)
        stems.extend(session.take_begun_stems())
        for stem in stems:
            file = files.setdefault(stem.source.name, bytearray())
            file += b"".join(map(bytes, stem.encode()))

    for tick in range(1, 5 * SECONDS):
        now_ns = tick * NS_PER_S // 5
        while waiting and waiting[0][0] <= now_ns:
            _, name, frame = waiting.pop(0)
            push(tracks[name], frame)
        if left_s is not None and now_ns >= left_s * NS_PER_S:
            next(iter(tracks.values())).leave(round(left_s * NS_PER_S))
        if forgotten and tick == 12:
            session.forget(forgotten.__eq__)
        session.mix(now_ns)
        write(output.encode())
    session.finish(SECONDS * NS_PER_S)
    write(output.finish())
    return {name: bytes(file) for name, file in files.items()}


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many times samples are copied as they are."""
    copied: list[int] = []

    def add_all_of(paths: Any, total: Any, stop: int, copies: Any = None) -> Any:
        left = add_all(paths, total, stop, copies)
        if copies is not None:
            copied.append(len(paths) - len(left))
        return left

    monkeypatch.setattr(mixer, "add_all", add_all_of)
    return copied


def test_a_voice_at_the_rate_of_the_recording_is_copied_and_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    voices = {name: noise(seed, 4, RATE) // 4 for seed, name in enumerate("abc")}
    parts = {name: spoken(pcm, RATE, start_s=0) for name, pcm in voices.items()}
    copied = counted(monkeypatch)
    files = recorded(parts)
    for name, pcm in voices.items():
        stem = np.frombuffer(files[name], np.int16)
        assert np.array_equal(stem[: len(pcm)], pcm)
    mix = np.frombuffer(files[""], np.int16)
    assert np.array_equal(mix[: 4 * RATE], sum(voices.values()))
    if arrays.NATIVE is not None:
        assert sum(copied) > 3 * 10


@pytest.mark.skipif(arrays.NATIVE is None, reason="the accelerator is not built")
@examples(40)
@given(st.data())
def test_with_the_accelerator_and_without_it_each_stem_is_the_same(data: st.DataObject) -> None:
    parts: dict[str, list[Frame]] = {}
    for number in range(data.draw(st.integers(1, 5))):
        rate = data.draw(st.sampled_from([RATE, RATE, 48000, 8000]))
        loud = data.draw(st.sampled_from([0.2, 0.9, 4.0]))
        pcm = np.clip(noise(number, SECONDS - 1, rate) * loud, -32768, 32767).astype(np.int16)
        frames = spoken(
            pcm,
            rate,
            start_s=data.draw(st.sampled_from([0.0, 0.7])),
            ppm=data.draw(st.sampled_from([0, 300])),
            jitter=uniform(data.draw(st.sampled_from([0.0, 0.06]))),
            seed=number,
        )
        lost = data.draw(st.integers(0, 150))
        del frames[lost : lost + data.draw(st.sampled_from([0, 1, 30]))]
        parts[str(number)] = frames
    left_s = data.draw(st.sampled_from([None, 2.5]))
    forgotten = data.draw(st.sampled_from(["", "0", "1"]))
    accelerated = recorded(parts, left_s=left_s, forgotten=forgotten)
    with without_accelerator():
        assert recorded(parts, left_s=left_s, forgotten=forgotten) == accelerated
