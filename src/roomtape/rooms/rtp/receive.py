"""One remote audio track: from RTP packets to :class:`~roomtape.types.AudioFrame`.

Packets are put in order (:mod:`.jitter_buffer`), what is missing is asked for again, and what
comes is decoded on the event loop's thread: 20 ms of Opus take about 0.1 ms, less than handing
them to a thread and back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from aiortc import RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError

from ...types import NS_PER_S, AudioFrame, FrameOrigin, Pcm
from .aiortc_internals import ask_again, tap_packets
from .bounds import Excess, TokenBucket
from .codecs import clock_hz_of, decoder_for
from .jitter_buffer import JitterBuffer, Ordered
from .opus import Decoder, UndecodableError
from .packet import Rtp
from .sender_clocks import SenderClocks

logger = logging.getLogger(__name__)

AHEAD_S = 10.0
"""Audio that may come faster than it is spoken: what a network held back comes so ..."""
FASTEST = 1.1
"""... and in the long run, so many seconds of it in one."""
_NOTHING: Pcm = np.zeros(0, np.int16)
_SILENT_NS = NS_PER_S
"""A stream that has been quiet for so long may come back in place of the one after it."""


@dataclass(frozen=True)
class Incoming:
    """A track that was negotiated.

    Attributes:
        receiver: Of an audio transceiver.
        codecs: By payload type, in small letters; of :data:`.description.CODECS`.
        nack: The sender answers NACKs.
        excess: Where is counted what comes beyond the bounds.
        take_dropped: How many packets the kernel dropped since it was asked last.
        clocks: What the senders say of theirs, to be trusted; None if they are not.
    """

    receiver: RTCRtpReceiver
    codecs: Mapping[int, str]
    nack: bool
    excess: Excess
    take_dropped: Callable[[], int] = int  # none
    clocks: SenderClocks | None = None


class _Payload(NamedTuple):
    codec: str
    data: bytes


class RemoteAudio:
    """Hands out one track's frames as they arrive, until it ends or :meth:`close`.

    Frames are mono, of the codec's own rate. A track has one stream (SSRC) at a time: a new one
    takes over from the one before, which is heard no more while the new one goes on.

    Args:
        incoming: The track.
        on_frame: Called on the event loop's thread; must not raise.
        on_ended: Called once, after the last frame, unless :meth:`close` came first.
        tap: Take the packets from the receiver. Where one receiver serves several tracks in turn,
            whoever knows which packet is whose calls :meth:`take` instead.
    """

    def __init__(
        self,
        incoming: Incoming,
        on_frame: Callable[[AudioFrame], None],
        on_ended: Callable[[], None],
        *,
        tap: bool = True,
    ) -> None:
        self._incoming = incoming
        self._on_frame = on_frame
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ssrc: int | None = None
        self._former: set[int] = set()
        self._heard_ns = 0
        """When the last packet of that stream came ..."""
        self._now_ns = 0
        """... and of what is handed out, when that came which it waited for; it never runs back."""
        self._order: JitterBuffer[_Payload] = JitterBuffer(asks=incoming.nack)
        self._pace = TokenBucket(AHEAD_S, FASTEST)
        self._codec = ""
        self._decoder: Decoder | None = None
        self._next_pts: int | None = None
        self._left_out = 0
        self._delay_ns = 0
        self._undecodable = 0
        self._closed = False
        self._asking: set[asyncio.Task[None]] = set()
        self._watcher: asyncio.Task[None] | None = None
        if tap:
            tap_packets(incoming.receiver, self.take, self._on_goodbye)
            self._watcher = self._loop.create_task(self._watch(incoming.receiver))

    def close(self) -> None:
        """Hand out what still waited for a missing packet, and end."""
        if self._closed:
            return
        self._pass_all(self._order.flush())
        self._tell_left_out()
        self._closed = True
        self._set_timer()
        if self._watcher is not None:
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

    def _on_goodbye(self) -> None:
        """The stream says that it ends. The track ends with its call; another stream, or even
        this one, may come."""
        self._pass_all(self._order.flush())
        self._set_timer()

    def take(self, packet: Rtp, arrived_ns: int) -> None:
        """A packet has come, at ``arrived_ns`` of ``time.monotonic_ns()``."""
        codec = self._incoming.codecs.get(packet.payload_type)
        # An empty packet probes the network and has no audio.
        if self._closed or codec is None or not packet.payload:
            return
        self._now_ns = max(self._now_ns, arrived_ns)
        if packet.ssrc != self._ssrc and not self._take_over(packet.ssrc, arrived_ns):
            if self._decoder is not None and codec == self._codec:
                self._leave_out(self._decoder.samples(packet.payload))
            return
        self._heard_ns = arrived_ns
        clocks = self._incoming.clocks
        if clocks is not None:
            clock_hz = clock_hz_of(codec)
            self._delay_ns = clocks.delay_ns(packet.ssrc, packet.timestamp, clock_hz, arrived_ns)
        waited = self._order.deadline_ns
        payload = _Payload(codec, packet.payload)
        number, timestamp = packet.sequence_number, packet.timestamp
        self._pass_all(self._order.push(number, timestamp, payload, arrived_ns))
        if self._order.deadline_ns != waited:
            self._ask(arrived_ns)
            self._set_timer()

    def _take_over(self, ssrc: int, now_ns: int) -> bool:
        """A stream other than the one that was heard last; whether it is the track's now."""
        if ssrc in self._former and now_ns - self._heard_ns < _SILENT_NS:
            self._incoming.excess.add("streams (SSRCs) of one track at the same time")
            return False
        if self._ssrc is not None:
            self._former.add(self._ssrc)
            self._pass_all(self._order.flush())
            self._order = JitterBuffer(asks=self._incoming.nack)
            self._next_pts = None
        self._ssrc = ssrc
        return True

    def _ask(self, now_ns: int) -> None:
        numbers = self._order.requests(now_ns)
        if numbers and self._ssrc is not None:
            task = self._loop.create_task(ask_again(self._incoming.receiver, self._ssrc, numbers))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

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
        self._now_ns = now_ns = time.monotonic_ns()
        self._pass_all(self._order.expire(now_ns))
        self._ask(now_ns)
        self._set_timer()

    def _pass_all(self, packets: list[Ordered[_Payload]]) -> None:
        for packet in packets:
            try:
                self._decode(packet)
            except UndecodableError:
                # Random bytes under a valid SRTP key: its time stays a gap.
                self._undecodable += 1

    def _decode(self, packet: Ordered[_Payload]) -> None:
        data = packet.content.data
        if self._decoder is None or packet.content.codec != self._codec:
            self._codec = packet.content.codec
            self._decoder = decoder_for(self._codec)
            self._next_pts = None
        decoder = self._decoder
        samples = decoder.samples(data)
        if not self._pace.take(time.monotonic_ns(), samples / decoder.rate_hz):
            self._leave_out(samples)
            self._incoming.excess.add("audio, faster than it is spoken")
            return
        pts = packet.pts * decoder.rate_hz // decoder.clock_hz
        if packet.after_loss:
            self._recover(decoder, data, pts)
        pcm = decoder.decode(data)
        # Later numbers with nothing sent between them: the sender paused (DTX).
        silence = packet.contiguous and self._next_pts is not None and pts > self._next_pts
        origin = FrameOrigin.RESENT if packet.resent else FrameOrigin.SENT
        self._hand_out(pcm, pts, origin, gap_is_silence=silence)

    def _recover(self, decoder: Decoder, data: bytes, pts: int) -> None:
        """The packet before this one is lost, and this one may hold it in short."""
        pcm = decoder.recover(data)
        if pcm is not None and (self._next_pts is None or pts - len(pcm) >= self._next_pts):
            self._hand_out(pcm, pts - len(pcm), FrameOrigin.FEC)

    def _hand_out(
        self, pcm: Pcm, pts: int, origin: FrameOrigin, *, gap_is_silence: bool = False
    ) -> None:
        assert self._decoder is not None
        end = pts + len(pcm)
        self._next_pts = end if self._next_pts is None else max(self._next_pts, end)
        self._tell(pcm, pts, origin, gap_is_silence=gap_is_silence)

    def _leave_out(self, samples: int) -> None:
        """What comes so has no place; it is told with the next frame, or after a second of it."""
        self._left_out += samples
        if self._decoder is not None and self._left_out >= self._decoder.rate_hz:
            self._tell_left_out()

    def _tell_left_out(self) -> None:
        if self._left_out:
            self._tell(_NOTHING, self._next_pts or 0, FrameOrigin.SENT)

    def _tell(
        self, pcm: Pcm, pts: int, origin: FrameOrigin, *, gap_is_silence: bool = False
    ) -> None:
        assert self._decoder is not None
        left_out, self._left_out = self._left_out, 0
        self._on_frame(
            AudioFrame(
                pcm,
                self._decoder.rate_hz,
                pts,
                gap_is_silence=gap_is_silence,
                origin=origin,
                left_out=left_out,
                dropped_packets=self._incoming.take_dropped(),
                captured_ns=self._now_ns - self._delay_ns,
            )
        )
