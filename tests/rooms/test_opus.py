"""rooms/rtp/opus.py and codecs.py: decoding, and what a packet says of the one before it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.rooms.rtp import opus
from roomtape.rooms.rtp.codecs import decoder_for
from roomtape.rooms.rtp.opus import UndecodableError, opus_decoder, opus_encoder, packet_samples
from support.signals import speech

PACKETS = 200
DELAY = 312  # of the encoder, in samples


def packets(*, loss: float) -> list[bytes]:
    encoder, said = opus_encoder(64000), speech("alice")
    encoder.expect_loss(loss)
    return [encoder.encode(said[960 * each : 960 * each + 960]) for each in range(PACKETS)]


def likeness(heard: np.ndarray) -> float:
    a, b = speech("alice")[: len(heard) - DELAY].astype(float), heard[DELAY:].astype(float)
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.fixture(params=["libopus", "PyAV"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "PyAV":
        monkeypatch.setattr(opus, "libopus", lambda: None)
    else:
        assert opus.libopus() is not None, "PyAV's wheel has no libopus that can be called"
    return str(request.param)


def test_speech_is_decoded_as_it_was_encoded(library: str) -> None:
    decoder = opus_decoder()
    heard = np.concatenate([decoder.decode(packet) for packet in packets(loss=0.0)])
    assert likeness(heard) > (0.9 if library == "PyAV" else 0.99)


def test_a_packet_says_how_long_it_is(library: str) -> None:
    decoder = opus_decoder()
    for packet in packets(loss=0.0)[:20]:
        assert decoder.samples(packet) == packet_samples(packet) == len(decoder.decode(packet))


def test_no_packet_is_undecodable_and_harms_not_the_next(library: str) -> None:
    decoder = opus_decoder()
    with pytest.raises(UndecodableError):
        decoder.decode(b"\xff" * 3)
    assert decoder.samples(b"") == 0
    assert len(decoder.decode(packets(loss=0.0)[0])) == 960


def test_where_loss_is_expected_a_packet_holds_the_one_before() -> None:
    heard, decoder, made_up = [], opus_decoder(), 0
    for number, packet in enumerate(packets(loss=0.1)):
        if number % 10 == 5:
            continue
        if number % 10 == 6:
            before = decoder.recover(packet)
            made_up += before is not None
            heard.append(np.zeros(960, np.int16) if before is None else before)
        heard.append(decoder.decode(packet))
    assert made_up > 15
    assert likeness(np.concatenate(heard)) > 0.9


def test_where_no_loss_is_expected_nothing_is_made_up() -> None:
    decoder = opus_decoder()
    assert all(decoder.recover(packet) is None for packet in packets(loss=0.0))


@given(st.binary(min_size=1, max_size=200))
def test_whatever_comes_is_decoded_or_refused(payload: bytes) -> None:
    for codec in ("opus", "pcmu", "pcma", "g722"):
        decoder = decoder_for(codec)
        samples = decoder.samples(payload)
        try:
            decoder.recover(payload)
            assert len(decoder.decode(payload)) == samples
        except UndecodableError:
            pass
