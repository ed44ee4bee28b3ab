"""Telephone audio, against FFmpeg's codecs."""

from __future__ import annotations

import av
import numpy as np
import pytest

from roomtape import g711

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
EVERY_CODE = bytes(range(256))
CODECS = {"mu": "pcm_mulaw", "a": "pcm_alaw"}


def decoded_by_ffmpeg(codec: str, data: bytes) -> list[int]:
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout = 8000, "mono"
    frames = [*context.decode(av.Packet(data)), *context.decode(None)]
    return [int(each) for frame in frames for each in frame.to_ndarray().reshape(-1)]


@pytest.mark.parametrize("law", CODECS)
def test_each_code_means_what_it_means_to_ffmpeg(law: str):
    assert g711(EVERY_CODE, law).tolist() == decoded_by_ffmpeg(CODECS[law], EVERY_CODE)


@pytest.mark.parametrize("law", CODECS)
def test_each_sample_gets_a_code_that_means_nearly_the_same(law: str):
    """Four bits of each octave are kept, so half a step is a thirty-second of the sample."""
    said = EVERY_SAMPLE.astype(int)
    given = g711(g711(EVERY_SAMPLE, law), law).astype(int)
    assert (np.abs(given - said) <= np.abs(said) / 32 + 8).all()
    assert (np.diff(given) >= 0).all()


@pytest.mark.parametrize("law", CODECS)
def test_what_was_decoded_is_encoded_to_the_same_meaning(law: str):
    said = g711(EVERY_CODE, law)
    assert np.array_equal(g711(g711(said, law), law), said)


@pytest.mark.parametrize(
    ("name", "law"),
    [("ulaw", "mu"), ("PCMU", "mu"), ("MU", "mu"), ("alaw", "a"), ("pcma", "a"), ("A", "a")],
)
def test_the_laws_have_the_names_that_they_go_by(name: str, law: str):
    assert np.array_equal(g711(EVERY_CODE, name), g711(EVERY_CODE, law))


def test_bytes_of_any_kind_and_arrays_of_any_shape():
    said = g711(EVERY_CODE)
    assert said.dtype == np.int16
    assert np.array_equal(g711(bytearray(EVERY_CODE)), said)
    assert np.array_equal(g711(memoryview(EVERY_CODE)), said)
    assert g711(said.reshape(-1, 2)) == g711(said)
    assert g711(said[::2]) == g711(said[::2].copy())
    assert g711(b"").shape == (0,)
    assert g711(said[:0]) == b""


@pytest.mark.parametrize(
    ("data", "law", "words"),
    [
        ("hello", "mu", "this is str; G.711 is bytes"),
        (np.zeros(3, np.float32), "mu", "this is float32"),
        (np.zeros(3, np.int32), "a", "this is int32"),
        (b"", "b", "law is 'b'; it must be 'mu' or 'a'"),
        (b"", 7, "law is 7"),
    ],
)
def test_what_is_neither_is_one_line(data: object, law: object, words: str):
    with pytest.raises(ValueError, match=words):
        g711(data, law)  # type: ignore[call-overload]
