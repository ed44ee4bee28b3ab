"""rooms/webrtc/call.py and receive.py, with a bare aiortc connection as the other side."""

from __future__ import annotations

import asyncio
import fractions
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import av
import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtp import RtcpByePacket, RtpPacket

from roomtape.rooms.rtp.bounds import Excess, MediaBounds
from roomtape.rooms.rtp.receive import Incoming, RemoteAudio
from roomtape.rooms.rtp.send import PacketTrack
from roomtape.rooms.webrtc.call import Call
from roomtape.types import AudioFrame
from support.processes import descriptors

pytestmark = pytest.mark.network

QUIET = bytes.fromhex("f8fffe")  # 20 ms of digital silence in Opus
TONE_HZ = 440


class Tone(MediaStreamTrack):
    kind = "audio"

    def __init__(self, hertz: float = TONE_HZ) -> None:
        super().__init__()
        self._hertz = hertz
        self._at = 0
        self._start_s = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self._start_s + self._at / 48000 - time.monotonic()))
        phase = 2 * np.pi * self._hertz * np.arange(self._at, self._at + 960) / 48000
        pcm = np.round(9000 * np.sin(phase)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts = 48000, self._at
        frame.time_base = fractions.Fraction(1, 48000)
        self._at += 960
        return frame


class Answered:
    """A call of ours that has answered ``far``.

    Attributes:
        frames: What was heard, by track.
    """

    def __init__(self, far: RTCPeerConnection, bounds: MediaBounds) -> None:
        self.far = far
        self.excess = Excess("far")
        self.frames: list[list[AudioFrame]] = []
        self.ended = 0
        self.sdp = ""
        self._tracks: list[RemoteAudio] = []
        self.call = Call(
            "call",
            track=PacketTrack(),
            ice_servers=(),
            loopback=True,
            on_incoming=self._add,
            on_state=lambda call: None,
            excess=self.excess,
            bounds=bounds,
        )

    def _add(self, incoming: Incoming) -> None:
        frames: list[AudioFrame] = []
        self.frames.append(frames)
        self._tracks.append(RemoteAudio(incoming, frames.append, self._end))

    def _end(self) -> None:
        self.ended += 1

    def end_tracks(self) -> None:
        for track in self._tracks:
            track.close()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def until_heard(self, packets: int, track: int = 0) -> None:
        target = len(self.frames[track]) + packets
        await self.until(lambda: len(self.frames[track]) >= target)

    async def send(self, number: int, *, ssrc: int | None = None) -> None:
        sender = self.far.getSenders()[0]
        packet = RtpPacket(payload_type=96, sequence_number=number, timestamp=number * 960)
        packet.ssrc = sender._ssrc if ssrc is None else ssrc
        packet.payload = QUIET
        await sender.transport._send_rtp(packet.serialize())


@asynccontextmanager
async def answered(
    codecs: Sequence[str], *, tones: bool = True, bounds: MediaBounds | None = None
) -> AsyncIterator[Answered]:
    """A call from an aiortc connection with one section for each of ``codecs``."""
    far = RTCPeerConnection(
        RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )
    known = {each.name.lower(): each for each in RTCRtpSender.getCapabilities("audio").codecs}
    for number, codec in enumerate(codecs):
        transceiver = far.addTransceiver(Tone(TONE_HZ * (number + 1)) if tones else "audio")
        transceiver.setCodecPreferences([known[codec]])
    near = Answered(far, bounds or MediaBounds())
    await far.setLocalDescription()
    near.sdp = await near.call.answer(far.localDescription.sdp)
    if "m=audio 0" not in near.sdp:  # aiortc knows of no refusal
        await far.setRemoteDescription(RTCSessionDescription(near.sdp, "answer"))
        await near.until(lambda: far.connectionState == "connected" and near.call.connected)
    try:
        yield near
    finally:
        await far.close()
        await near.call.close()


def pitch(frames: list[AudioFrame]) -> tuple[float, float]:
    """The loudest frequency, and its share of the whole power."""
    pcm = np.concatenate([frame.pcm for frame in frames]).astype(float)
    power = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) ** 2
    peak = int(power.argmax())
    around = power[max(0, peak - 3) : peak + 4].sum() / power.sum()
    return peak * frames[0].sample_rate / len(pcm), float(around)


RATES_HZ = {"opus": 48000, "g722": 16000, "pcmu": 8000, "pcma": 8000}


@pytest.mark.parametrize("codec", RATES_HZ)
async def test_each_codec_is_decoded_as_what_it_is(codec: str) -> None:
    async with answered([codec]) as near:
        await near.until_heard(60)
        frames = near.frames[0][10:60]
    assert {frame.sample_rate for frame in frames} == {RATES_HZ[codec]}
    assert set(np.diff([frame.pts for frame in frames])) == {RATES_HZ[codec] // 50}
    hertz, share = pitch(frames)
    assert hertz == pytest.approx(TONE_HZ, abs=2)
    assert share > 0.9


async def test_sections_of_one_offer_are_each_decoded_as_what_they_are() -> None:
    async with answered(["opus", "pcmu", "opus"]) as near:
        await near.until(lambda: len(near.frames) == 3)
        for track in range(3):
            await near.until_heard(60, track)
        for track, frames in enumerate(near.frames):
            hertz, share = pitch(frames[10:60])
            assert hertz == pytest.approx(TONE_HZ * (track + 1), abs=3)
            assert share > 0.9


async def test_an_answer_names_each_address_once_a_section() -> None:
    async with answered(["opus"] * 4) as near:
        sections = near.sdp.split("m=audio")[1:]
        assert [each.count(" 127.0.0.1 ") for each in sections] == [1] * 4
        assert len(near.sdp) < 10000


async def test_sections_beyond_the_bound_are_refused_and_counted() -> None:
    async with answered(["opus"] * 7, tones=False) as near:
        assert near.sdp.count("m=audio 0 ") == 3
        assert near.excess.counts.total() == 3


async def test_a_call_without_opus_is_only_listened_to() -> None:
    async with answered(["pcma"]) as near:
        assert "a=recvonly" in near.sdp


async def test_a_track_is_heard_on_after_a_goodbye() -> None:
    async with answered(["opus"], tones=False) as near:
        for number in range(5):
            await near.send(number)
        await near.until(lambda: len(near.frames[0]) == 5)
        sender = near.far.getSenders()[0]
        await sender.transport._send_rtp(bytes(RtcpByePacket(sources=[sender._ssrc])))
        await asyncio.sleep(0.2)
        await near.send(5)  # the same stream ...
        await near.until(lambda: len(near.frames[0]) == 6)
        await near.send(100, ssrc=77)  # ... and a new one
        await near.until(lambda: len(near.frames[0]) == 7)
        assert near.ended == 0
    assert near.ended == 1


async def test_a_stream_that_was_taken_over_from_does_not_come_between() -> None:
    async with answered(["opus"], tones=False) as near:
        for number in range(20):
            await near.send(number, ssrc=5 + number % 2)
        await near.until(lambda: near.excess.counts)
        await asyncio.sleep(0.1)
    assert len(near.frames[0]) == 11


async def test_streams_are_bounded_and_the_call_closes_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = descriptors()
    async with answered(["opus"], tones=False) as near:
        for number in range(300):
            await near.send(number, ssrc=1000 + number)
        await asyncio.sleep(2.0)  # some receiver reports
        receiver = near.call._connection.getReceivers()[0]
        assert len(receiver._RTCRtpReceiver__remote_streams) <= 17
        assert len(receiver.transport._rtp_router.ssrc_table) <= 17
    assert "closed as it should be" not in caplog.text
    assert descriptors() == before


async def test_a_call_that_is_given_up_at_any_moment_leaves_nothing_open() -> None:
    far = RTCPeerConnection(
        RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )
    far.addTransceiver("audio")
    await far.setLocalDescription()
    before = descriptors()
    for turns in range(25):
        near = Answered(far, MediaBounds())
        answering = asyncio.create_task(near.call.answer(far.localDescription.sdp))
        for _ in range(turns):
            await asyncio.sleep(0)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        await near.call.close()
    async with asyncio.timeout(10):
        while descriptors() > before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await far.close()


async def test_a_report_that_cannot_be_sent_does_not_hang_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with answered(["opus"], tones=False) as near:
        receiver = near.call._connection.getReceivers()[0]
        await near.send(0)
        await near.until(lambda: receiver._RTCRtpReceiver__remote_streams)
        for stream in receiver._RTCRtpReceiver__remote_streams.values():
            stream._jitter_q4 = 1 << 40  # timestamps can be such that this comes of it
        await near.until(lambda: near.excess.counts)
    assert "closed as it should be" not in caplog.text


async def test_audio_that_comes_too_fast_is_left_out_and_said_with_the_next() -> None:
    async with answered(["opus"], tones=False) as near:
        for number in range(1200):
            await near.send(number)
            if number % 20 == 0:
                await asyncio.sleep(0.005)
        await asyncio.sleep(1.0)
        await near.send(1200)
        await near.until_heard(0)
        await asyncio.sleep(0.5)
    heard = near.frames[0]
    assert len(heard) < 700
    assert sum(len(frame.pcm) + frame.left_out for frame in heard) >= 1190 * 960


async def test_audio_that_was_left_out_to_the_end_is_said_at_the_end() -> None:
    async with answered(["opus"], tones=False) as near:
        for number in range(1200):
            await near.send(number)
            if number % 20 == 0:
                await asyncio.sleep(0.005)
        await near.until(lambda: near.excess.counts)
        await asyncio.sleep(0.5)
    near.end_tracks()
    heard = near.frames[0]
    assert sum(len(frame.pcm) + frame.left_out for frame in heard) >= 1190 * 960
    assert heard[-1].left_out
    assert len(heard[-1].pcm) == 0


async def test_a_second_stream_at_the_same_time_is_left_out_and_said() -> None:
    async with answered(["opus"], tones=False) as near:
        ssrcs = (1, 2)
        for number in range(100):
            await near.send(number, ssrc=ssrcs[number >= 50])
            await asyncio.sleep(0.002)
        for number in range(50, 100):  # the first one goes on, beside the second
            await near.send(number, ssrc=1)
            await near.send(number + 50, ssrc=2)
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.5)
    near.end_tracks()
    assert sum(frame.left_out for frame in near.frames[0]) >= 45 * 960


async def test_a_receive_buffer_is_as_large_as_may_be() -> None:
    async with answered(["opus"], tones=False) as near:
        for sock in near.call._door._sockets:
            assert sock.getsockopt(1, 8) > 400_000  # SOL_SOCKET, SO_RCVBUF
        assert near.call._door.dropped == 0
