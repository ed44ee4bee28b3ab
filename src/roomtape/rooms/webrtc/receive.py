"""One remote audio track: from RTP packets to :class:`~roomtape.types.AudioFrame`.

Packets are put in order (:mod:`.jitter_buffer`) and decoded on the event loop's thread: 20 ms of
Opus take about 0.1 ms, less than handing them to a thread and back.
"""

from __future__ import annotations

import asyncio
import fractions
import logging
import time
from collections.abc import Callable

import av
from aiortc import RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket

from ...types import NS_PER_S, AudioFrame
from .aiortc_internals import tap_packets
from .jitter_buffer import JitterBuffer, Ordered

logger = logging.getLogger(__name__)

RATE_HZ = 48000
"""The clock of Opus over RTP, whatever the encoder's own rate (RFC 7587)."""
_TIME_BASE = fractions.Fraction(1, RATE_HZ)


class RemoteAudio:
    """Hands out one track's frames as they arrive, until it ends or :meth:`close`.

    Frames are 48 kHz mono: the decoder itself mixes stereo down, at half the cost of doing it
    afterwards, and recordings are mono.

    Args:
        receiver: Of an audio transceiver on which nothing but Opus was negotiated.
        on_frame: Called on the event loop's thread; must not raise.
        on_ended: Called once, after the last frame, unless :meth:`close` came first.
    """

    def __init__(
        self,
        receiver: RTCRtpReceiver,
        on_frame: Callable[[AudioFrame], None],
        on_ended: Callable[[], None],
    ) -> None:
        self._on_frame = on_frame
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ssrc: int | None = None
        self._order: JitterBuffer[bytes] = JitterBuffer()
        self._decoder = _opus_decoder()
        self._next_pts: int | None = None
        self._undecodable = 0
        self._closed = False
        tap_packets(receiver, self._on_packet)
        self._watcher = self._loop.create_task(self._watch(receiver))

    def close(self) -> None:
        """Hand out what still waited for a missing packet, and end."""
        if self._closed:
            return
        self._pass_all(self._order.flush())
        self._closed = True
        self._set_timer()
        self._watcher.cancel()
        order = self._order
        logger.debug(
            "track ended: %d packets late, %d twice, %d renumberings, %d undecodable",
            *(order.late, order.duplicates, order.restarts, self._undecodable),
        )

    async def _watch(self, receiver: RTCRtpReceiver) -> None:
        try:
            while True:
                await receiver.track.recv()
        except MediaStreamError:
            self.close()
            self._on_ended()

    def _on_packet(self, packet: RtpPacket) -> None:
        # An empty packet probes the network and has no audio.
        if self._closed or not packet.payload:
            return
        if packet.ssrc != self._ssrc:
            if self._ssrc is not None:
                self._pass_all(self._order.flush())
                self._order = JitterBuffer()
                self._next_pts = None
            self._ssrc = packet.ssrc
        waited = self._order.deadline_ns
        self._pass_all(
            self._order.push(
                packet.sequence_number, packet.timestamp, packet.payload, time.monotonic_ns()
            )
        )
        if self._order.deadline_ns != waited:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_ns = self._order.deadline_ns
        if deadline_ns is not None and not self._closed:
            delay_s = max(0, deadline_ns - time.monotonic_ns()) / NS_PER_S
            self._timer = self._loop.call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._pass_all(self._order.expire(time.monotonic_ns()))
        self._set_timer()

    def _pass_all(self, packets: list[Ordered[bytes]]) -> None:
        for packet in packets:
            self._decode(packet)

    def _decode(self, packet: Ordered[bytes]) -> None:
        encoded = av.Packet(packet.content)
        encoded.pts = packet.pts
        encoded.time_base = _TIME_BASE
        try:
            frames = self._decoder.decode(encoded)
        except av.FFmpegError:
            # Random bytes under a valid SRTP key: its time stays a gap.
            self._undecodable += 1
            return
        pts = packet.pts
        for frame in frames:
            pcm = frame.to_ndarray()[0]
            # Later numbers with nothing sent between them: the sender paused (DTX).
            silence = packet.contiguous and self._next_pts is not None and pts > self._next_pts
            self._on_frame(AudioFrame(pcm, RATE_HZ, pts, gap_is_silence=silence))
            pts += len(pcm)
            self._next_pts = pts if self._next_pts is None else max(self._next_pts, pts)


def _opus_decoder() -> av.AudioCodecContext:
    decoder = av.CodecContext.create("libopus", "r")
    decoder.format = "s16"
    decoder.layout = "mono"
    decoder.sample_rate = RATE_HZ
    return decoder
