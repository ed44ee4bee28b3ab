"""audio/aac.py: what AAC takes."""

from __future__ import annotations

import numpy as np
import pytest

from roomtape.audio.aac import AacEncoder
from roomtape.types import SAMPLE_RATES_HZ, AudioRecordingQuality
from support.signals import noise, silence, speech


@pytest.mark.parametrize("quality", [AudioRecordingQuality.LOW, AudioRecordingQuality.MEDIUM])
@pytest.mark.parametrize("rate_hz", SAMPLE_RATES_HZ)
def test_no_frame_exceeds_the_rate_not_even_after_silence(
    rate_hz: int, quality: AudioRecordingQuality
):
    pause, voice = silence(1.0, rate_hz), speech("alice", 4.0, rate_hz)
    signal = np.concatenate([pause, voice, pause, noise(1, 2.0, rate_hz, dbfs=-5), pause, voice])
    encoder = AacEncoder(rate_hz, quality)
    units = encoder.encode(signal.astype(np.float32)) + encoder.finish()
    most = encoder.bytes_per_s * encoder.unit_samples / rate_hz
    assert max(map(len, units)) <= most + 2  # rounded up, and an end
    assert min(map(len, units)) < most / 8  # digital silence takes next to nothing
