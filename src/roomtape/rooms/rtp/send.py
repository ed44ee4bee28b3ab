"""What the local user publishes: encoded once, sent to everybody.

aiortc encodes a track anew for each peer. Here one Opus encoder serves them all, and each peer
has a :class:`PacketTrack` of encoded packets. As long as one of them loses packets for good,
each packet also holds the one before it in short (FEC); else the bits are better spent.
"""

from __future__ import annotations

import asyncio
import fractions
import time
from collections.abc import Callable
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from ...media.local_audio import FRAME_SAMPLES, LOCAL_RATE_HZ, LocalAudio
from ...types import NS_PER_S, AudioFrame
from .opus import opus_encoder

BIT_RATE = 64000
"""Mono, full band; beyond this Opus gains nothing audible (RFC 7587 suggests 28 to 40 kbit/s
for full-band speech, 48 to 64 for mono music)."""
MAX_QUEUED = 500
"""Packets that may wait for one peer: 10 s of a blocked event loop or network."""
_FADES = 0.8
"""What is left of a peer's loss in the next report, when that is better: 50 packets say little."""
_TIME_BASE = fractions.Fraction(1, LOCAL_RATE_HZ)


class PacketTrack(MediaStreamTrack):
    """One peer's copy of the published audio, for an aiortc sender.

    It waits empty until the sender begins to read, so a new peer hears the present and not
    what was said while it connected.

    Attributes:
        dropped: How many packets were lost because the peer took none for ten seconds.
        loss: The share of packets that the peer lacks lately, even after asking for them again.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        self.loss = 0.0
        self._packets: asyncio.Queue[av.Packet[Any]] = asyncio.Queue()
        self._reading = False

    @property
    def reading(self) -> bool:
        """Whether somebody takes the packets."""
        return self._reading and self.readyState == "live"

    def put(self, packet: av.Packet[Any]) -> None:
        if self._packets.qsize() >= MAX_QUEUED:
            self._packets.get_nowait()
            self.dropped += 1
        self._packets.put_nowait(packet)

    def report_loss(self, share: float) -> None:
        """Take in what the peer's last report (RTCP RR) says."""
        self.loss = max(share, self.loss * _FADES)

    async def recv(self) -> av.Packet[Any]:
        if self.readyState != "live":
            raise MediaStreamError
        self._reading = True
        return await self._packets.get()


class Publisher:
    """Encodes a :class:`LocalAudio` for all peers.

    The RTP timestamps follow the wall clock over changes of what is published: while nothing
    is, they move on, and the receivers see a pause.

    Args:
        on_muted: Called when the published audio is muted or unmuted, and when it changes.
            Publishing nothing is being muted.
    """

    def __init__(self, on_muted: Callable[[bool], None]) -> None:
        self._on_muted = on_muted
        self._tracks: list[PacketTrack] = []
        self._encoder = opus_encoder(BIT_RATE)
        self._unsubscribe: Callable[[], None] | None = None
        self._epoch_ns = time.monotonic_ns()
        self._offset: int | None = None
        self._next_pts = 0

    def publish(self, local_audio: LocalAudio | None) -> None:
        """Send this from now on, or nothing."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._offset = None
        if local_audio is not None:
            self._unsubscribe = local_audio.subscribe(self._on_frame, self._on_muted)
        self._on_muted(local_audio is None or local_audio.muted)

    def add_track(self) -> PacketTrack:
        """A track for one more peer."""
        track = PacketTrack()
        self._tracks.append(track)
        return track

    def remove_track(self, track: PacketTrack) -> None:
        self._tracks.remove(track)

    def _on_frame(self, frame: AudioFrame) -> None:
        assert frame.pts is not None
        if self._offset is None:
            self._offset = self._position() - frame.pts
        pts = frame.pts + self._offset
        self._next_pts = pts + len(frame.pcm)
        readers = [track for track in self._tracks if track.reading]
        if not readers:
            return
        self._encoder.expect_loss(max(track.loss for track in readers))
        packet: av.Packet[Any] = av.Packet(self._encoder.encode(frame.pcm))
        packet.pts = pts
        packet.time_base = _TIME_BASE
        for track in readers:
            track.put(packet)

    def _position(self) -> int:
        """Where on the RTP clock audio begins that begins now."""
        now = (time.monotonic_ns() - self._epoch_ns) * LOCAL_RATE_HZ // NS_PER_S
        # Audio that takes over from other audio goes on where that ended.
        return self._next_pts if now - self._next_pts < 2 * FRAME_SAMPLES else now
