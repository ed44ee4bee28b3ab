"""A room without signalling: whoever sends RTP to a UDP port is in it.

For the media forks of telephone exchanges (Asterisk's External Media, FreeSWITCH's ``unicast``),
and for GStreamer and FFmpeg. A participant is an address from which packets come; it has left when
it says goodbye (RTCP BYE), or has sent nothing for :data:`GONE_AFTER_S`. RTCP comes on the same
port (RFC 5761).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from aiortc import RTCRtpReceiver
from aiortc.rtp import RtcpByePacket, RtcpPacket, RtpPacket, is_rtcp

from ..media.local_audio import LocalAudio
from ..types import AudioFrame
from ..types.errors import ConfigurationError, RoomUnreachableError, StateError
from .base import Room, RoomListener
from .rtp.bounds import Excess
from .rtp.datagrams.arrivals import Arrivals
from .rtp.receive import Incoming, RemoteAudio

logger = logging.getLogger(__name__)

PAYLOAD_TYPES: Mapping[int, str] = {0: "pcmu", 8: "pcma", 9: "g722", 96: "opus"}
"""The static ones of RFC 3551, and what most call Opus where nothing else was said."""
GONE_AFTER_S = 30.0
MOST_PARTICIPANTS = 16
"""Packets of further addresses are only counted."""
_RECEIVE_BYTES = 4 << 20
_CODECS = frozenset({"opus", "pcmu", "pcma", "g722"})

Address = tuple[str, int]


class RtpRoom(Room):
    """Listens, and sends nothing: what is published is recorded, and nobody hears it.

    Args:
        host, port: Where to listen; port 0 takes a free one. Whoever can reach it can be heard, so
            it is this machine alone if nothing else is said.
        payload_types: The codec of each: "opus", "pcmu", "pcma" or "g722".
        peers: IP addresses that may send; None for all.
        name_of: What an address is called in the recording; "host:port" if left out.

    Raises:
        ConfigurationError: A codec or a peer is none.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        payload_types: Mapping[int, str] = PAYLOAD_TYPES,
        peers: Collection[str] | None = None,
        name_of: Callable[[str, int], str] | None = None,
    ) -> None:
        for number, codec in payload_types.items():
            if codec not in _CODECS or not 0 <= number < 128:
                raise ConfigurationError(
                    f"payload type {number} is {codec!r}; it must be 0 to 127, and one of "
                    f"{', '.join(sorted(_CODECS))}"
                )
        self._host, self._port = host, port
        self._codecs = dict(payload_types)
        self._peers = None if peers is None else {_checked_peer(each) for each in peers}
        self._name_of = name_of or (lambda host, port: f"{host}:{port}")
        self._listener: RoomListener | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._arrivals = Arrivals()
        self._socket: socket.socket | None = None
        self._participants: dict[Address, _Participant] = {}
        self._excess = Excess("an RTP room")
        self._looking: asyncio.Task[None] | None = None

    @property
    def address(self) -> Address:
        """Where it listens.

        Raises:
            StateError: It is not joined.
        """
        if self._transport is None:
            raise StateError("an RTP room has its address once it is joined")
        return cast("Address", self._transport.get_extra_info("sockname")[:2])

    async def join(
        self,
        *,
        token: str | None,
        channel: str,
        uid: str,
        listener: RoomListener,
        local_audio: LocalAudio | None,
    ) -> None:
        del token, channel, uid, local_audio
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Port(self._take_now), local_addr=(self._host, self._port)
            )
        except (OSError, OverflowError) as error:
            raise RoomUnreachableError(
                f"cannot listen on UDP {self._host}:{self._port}: {error}"
            ) from None
        self._transport = transport
        with suppress(OSError):  # then it has what the system gives
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        self._socket = self._arrivals.take_over(transport, self._take)
        self._listener = listener
        self._looking = loop.create_task(self._look())

    async def leave(self) -> None:
        self.hand_out_waiting()
        listener, self._listener = self._listener, None
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._socket is not None:
            self._arrivals.remove(self._socket)
            self._socket = None
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        for participant in self._participants.values():
            participant.audio.close()
        self._participants.clear()
        if listener is not None:
            listener.on_closed("left")

    def hand_out_waiting(self) -> None:
        self._arrivals.take_waiting()

    @property
    def can_publish(self) -> bool:
        return False

    async def publish(self, local_audio: LocalAudio | None) -> None:
        del local_audio

    async def set_muted(self, muted: bool) -> None:
        del muted

    async def set_recording(self, recording: bool) -> None:
        del recording

    # -- what comes ---------------------------------------------------------------------------

    def _take_now(self, data: bytes, address: tuple[Any, ...]) -> None:
        self._take(data, address, time.monotonic_ns())

    def _take(self, data: bytes, address: tuple[Any, ...], arrived_ns: int) -> bool:
        """Whether it may be audio."""
        sender: Address = address[0], address[1]
        if self._peers is not None and sender[0] not in self._peers:
            self._excess.add("packets of others than the peers")
            return False
        try:
            if is_rtcp(data):
                self._take_rtcp(RtcpPacket.parse(data), sender)
                return False
            self._take_rtp(RtpPacket.parse(data), sender, arrived_ns)
        except Exception as error:  # from the network, and anybody's
            self._excess.add("packets that are broken")
            logger.debug("a packet of %s is left out: %r", address, error)
            return False
        return True

    def _take_rtp(self, packet: RtpPacket, address: Address, arrived_ns: int) -> None:
        if packet.payload_type not in self._codecs:
            self._excess.add("packets of other payload types")
            return
        participant = self._participants.get(address)
        if participant is None:
            if len(self._participants) >= MOST_PARTICIPANTS:
                self._excess.add(f"participants, more than {MOST_PARTICIPANTS}")
                return
            participant = self._let_in(address)
        participant.heard_s, participant.ssrc = time.monotonic(), packet.ssrc
        participant.audio.take(packet, arrived_ns)

    def _take_rtcp(self, packets: Sequence[object], address: Address) -> None:
        # It may come from another port than the audio.
        over = {
            ssrc for each in packets if isinstance(each, RtcpByePacket) for ssrc in each.sources
        }
        for (host, port), participant in tuple(self._participants.items()):
            if host == address[0] and participant.ssrc in over:
                self._let_out((host, port), "it said goodbye")

    def _let_in(self, address: Address) -> _Participant:
        uid, listener = self._name_of(*address), self._listener
        # A receiver of aiortc's is needed only to ask again for what is lost, and nobody here can.
        nobody = cast("RTCRtpReceiver", None)
        incoming = Incoming(nobody, self._codecs, False, Excess(uid))

        def on_frame(frame: AudioFrame) -> None:
            if listener is not None:
                listener.on_audio(uid, "audio", frame)

        audio = RemoteAudio(incoming, on_frame, lambda: None, tap=False)
        participant = self._participants[address] = _Participant(uid, audio)
        if listener is not None:
            listener.on_participant_joined(uid)
        return participant

    def _let_out(self, address: Address, reason: str) -> None:
        participant = self._participants.pop(address, None)
        if participant is None:
            return
        participant.audio.close()
        if self._listener is not None:
            self._listener.on_participant_left(participant.uid, reason)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(1)
            now_s = time.monotonic()
            for address, participant in tuple(self._participants.items()):
                if now_s - participant.heard_s > GONE_AFTER_S:
                    self._let_out(address, f"it has sent nothing for {GONE_AFTER_S:.0f} s")


class _Participant:
    def __init__(self, uid: str, audio: RemoteAudio) -> None:
        self.uid = uid
        self.audio = audio
        self.ssrc = -1
        self.heard_s = time.monotonic()


class _Port(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, tuple[Any, ...]], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._take(data, addr)


def _checked_peer(given: str) -> str:
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        raise ConfigurationError(f"peer {given!r} is no IP address") from None
