"""A track that a program got from aiortc: recorded from its packets, which aiortc loses some of."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.contrib.media import MediaRelay

from roomtape import AudioRecorder, AudioRecordingConfiguration, RecordingReport
from roomtape.media.local_audio import LOCAL_RATE_HZ
from roomtape.rooms.rtp.aiortc_guards import HANDLE_RTP
from roomtape.rooms.rtp.aiortc_internals import receiver_of
from support.lag import Lag
from support.readers import read_all
from support.signals import offset_of, speech

pytestmark = pytest.mark.network


class Speaking(MediaStreamTrack):
    """A voice, in real time."""

    kind = "audio"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._pcm = speech("alice", seconds)
        self._at = 0
        self._begun_s: float | None = None

    async def recv(self) -> Any:
        import fractions

        import av

        loop = asyncio.get_running_loop()
        if self._begun_s is None:
            self._begun_s = loop.time()
        await asyncio.sleep(max(0.0, self._begun_s + self._at / LOCAL_RATE_HZ - loop.time()))
        piece = np.resize(self._pcm[self._at : self._at + 960], 960)
        frame = av.AudioFrame.from_ndarray(piece[None, :], "s16", "mono")
        frame.sample_rate, frame.pts = LOCAL_RATE_HZ, self._at
        frame.time_base = fractions.Fraction(1, LOCAL_RATE_HZ)
        self._at += 960
        return frame


def lose(connection: RTCPeerConnection, lost: list[int]) -> None:
    """Lose bursts of packets on the way: 1 to 20 in a row, a tenth of all."""
    transport = connection.getTransceivers()[0].receiver.transport
    handle, rng = getattr(transport, HANDLE_RTP), np.random.default_rng(1)
    state = {"burst": 0, "next": 60, "seen": 0}

    async def lossy(data: bytes, *arguments: Any, **keywords: Any) -> None:
        state["seen"] += 1
        if state["seen"] >= state["next"]:
            state["burst"] = int(rng.integers(1, 21))
            state["next"] = state["seen"] + state["burst"] * 10
        if state["burst"]:
            state["burst"] -= 1
            lost.append(state["seen"])
            return
        await handle(data, *arguments, **keywords)

    setattr(transport, HANDLE_RTP, lossy)


async def call(
    path: Path, seconds: float, *, lossy: bool, relayed: bool = False
) -> tuple[RecordingReport, list[int]]:
    """Two peers; one speaks, and the other records what ``on("track")`` gives."""
    speaker, listener, lost = RTCPeerConnection(), RTCPeerConnection(), list[int]()
    config = AudioRecordingConfiguration(path, sample_rate=48000)
    async with AudioRecorder(config) as recorder:

        @listener.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            recorder.add_track(MediaRelay().subscribe(track) if relayed else track, name="alice")

        speaker.addTrack(Speaking(seconds))
        await speaker.setLocalDescription(await speaker.createOffer())
        await listener.setRemoteDescription(speaker.localDescription)
        if lossy:
            lose(listener, lost)
        await listener.setLocalDescription(await listener.createAnswer())
        await speaker.setRemoteDescription(listener.localDescription)
        await asyncio.sleep(seconds)
        await speaker.close()
        await listener.close()
    assert recorder.report is not None
    return recorder.report, lost


async def test_no_more_is_lost_than_the_network_lost(tmp_path: Path, lag: Lag) -> None:
    report, lost = await call(tmp_path / "a.wav", 12.0, lossy=True)
    (alice,) = report.sources
    assert len(lost) > 20
    # The last burst may be at the very end, where nobody knows what was to come.
    assert alice.lost_s <= len(lost) * 0.02 + 0.001 + lag.late_s
    assert alice.lost_s >= len(lost) * 0.02 - 0.42
    assert alice.received_s > 10.0 - len(lost) * 0.02


async def test_without_loss_every_word_is_there(tmp_path: Path, lag: Lag) -> None:
    report, _ = await call(tmp_path / "a.wav", 5.0, lossy=False)
    (alice,) = report.sources
    assert alice.lost_s <= lag.late_s
    pcm, rate_hz = read_all(tmp_path / "a.wav")
    _, likeness = offset_of(speech("alice", 3.5, rate_hz), pcm, rate_hz)
    assert likeness > 0.8


async def test_a_relayed_track_is_left_to_its_relay(tmp_path: Path, lag: Lag) -> None:
    report, _ = await call(tmp_path / "a.wav", 3.0, lossy=False, relayed=True)
    assert report.sources[0].received_s > 1


async def test_only_a_receivers_own_track_has_a_receiver() -> None:
    connection = RTCPeerConnection()
    other = RTCPeerConnection()
    connection.addTransceiver("audio")
    await connection.setLocalDescription(await connection.createOffer())
    await other.setRemoteDescription(connection.localDescription)
    receiver = other.getTransceivers()[0].receiver
    assert receiver_of(receiver.track) is receiver
    vars(receiver)  # its attributes are in a dictionary from now on
    assert receiver_of(receiver.track) is receiver
    assert receiver_of(MediaRelay().subscribe(receiver.track)) is None
    assert receiver_of(Speaking(1.0)) is None
    await connection.close()
    await other.close()
