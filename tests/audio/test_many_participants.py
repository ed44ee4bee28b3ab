"""Many participants who come and go."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from roomtape.audio.session import RecordingSession
from support.scripted import Part, pcm_of, run, shifts_of, spoken, uniform
from support.signals import noise

RATE = 8000
SECONDS = 600


@pytest.mark.slow
def test_fifty_who_join_leave_and_rejoin_at_random_are_all_in_their_places() -> None:
    rng = np.random.default_rng(50)
    parts: dict[str, Part] = {}
    words: list[tuple[float, np.ndarray]] = []
    for person in range(50):
        at_s = rng.uniform(0, 60)
        stay = 0
        while at_s < SECONDS - 30:
            # Each stay has a word or two, by a rate and a clock of its own.
            length_s = rng.uniform(3, 60)
            rate = int(rng.choice([8000, 16000, 48000], p=[0.8, 0.15, 0.05]))
            word = noise(len(words), 0.5, 8000)
            start_s = at_s + rng.uniform(0.1, 2)
            pcm = word if rate == 8000 else np.repeat(word, rate // 8000)
            timed = rng.random() < 0.7
            frames = spoken(
                pcm,
                rate,
                start_s=start_s,
                pts=int(rng.integers(0, 1 << 32)) if timed else None,
                jitter=uniform(0.02),
                seed=len(words),
            )
            if not timed:
                frames.sort(key=lambda frame: frame.pts or frame.at_ns)
            parts[f"{person}.{stay}"] = Part(frames, joined_s=at_s, left_s=at_s + length_s)
            words.append((start_s, word))
            at_s += length_s + rng.uniform(0.5, 60)
            stay += 1
    assert len(words) > 300

    def bounded(session: RecordingSession) -> None:
        assert len(session._open) <= 50
        for group in session._mixer._groups.values():
            assert len(group.voices) <= 60

    data, reports = run(parts, SECONDS, rate_hz=RATE, each_tick=bounded)
    assert len(reports) == len(words)
    for report in reports:
        assert report.received_s == pytest.approx(0.5, abs=0.001)
        assert report.late_s == 0
    found = shifts_of(words, pcm_of(data), RATE)
    assert np.isfinite(found).mean() >= 0.99  # three at once are hard to tell apart
    assert np.abs(found[np.isfinite(found)]).max() <= 0.02


@pytest.mark.slow
def test_a_participant_who_left_leaves_no_audio_in_memory() -> None:
    session_size: list[int] = []

    def measure(session: RecordingSession) -> None:
        if len(session.sources) in (100, 500) and len(session_size) < len(session.sources) // 100:
            session_size.append(tracemalloc.get_traced_memory()[0])

    parts = {
        str(n): Part(
            spoken(noise(n % 3, 0.3, 48000), 48000, start_s=n * 0.5),
            joined_s=n * 0.5,
            left_s=n * 0.5 + 0.4,
        )
        for n in range(500)
    }
    tracemalloc.start()
    try:
        run(parts, 260, rate_hz=16000, each_tick=measure)
    finally:
        tracemalloc.stop()
    # What is kept of each is its report; the file's bytes are kept by the script.
    file_bytes = (session_size[-1] - session_size[0]) - 200 * 32000
    assert file_bytes < 400 * 8000
