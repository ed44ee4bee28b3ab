"""rooms/rtp/aiortc_internals.py: what it needs of aiortc and aioice is there."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from roomtape.rooms.rtp.aiortc_guards import HANDLE_RTCP_DATA, HANDLE_RTP, RETRANSMIT, RUN_RTCP
from roomtape.rooms.rtp.aiortc_internals import (
    CODECS,
    CONNECT,
    HANDLE_RTCP,
    JITTER_BUFFER,
    LAST_ARRIVAL,
    REMOTE_STREAMS,
    ice_of,
    received_directly,
    tap_packets,
)
from roomtape.rooms.rtp.bounds import Excess, MediaBounds
from roomtape.rooms.rtp.datagrams.aioice_internals import GATHER, Door
from roomtape.rooms.rtp.datagrams.asyncio_internals import leave_unread, socket_of
from roomtape.types import NS_PER_S


async def test_aiortc_still_has_the_jitter_buffer_that_is_replaced() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = connection.addTransceiver("audio").receiver
    assert hasattr(receiver, JITTER_BUFFER), (
        "aiortc's RTCRtpReceiver keeps its jitter buffer elsewhere now: read its "
        "_handle_rtp_packet and change aiortc_internals.py"
    )
    await connection.close()


async def test_every_packet_reaches_the_tap_and_none_the_decoder() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = connection.addTransceiver("audio").receiver
    got: list[RtpPacket] = []
    tap_packets(receiver, lambda packet, _: got.append(packet), list)
    packets = [RtpPacket(sequence_number=number, timestamp=number) for number in (5, 3, 60000)]
    for packet in packets:
        packet._data = b""
        assert getattr(receiver, JITTER_BUFFER).add(packet) == (False, None)
    assert got == packets
    await connection.close()


def test_a_receiver_built_differently_is_refused() -> None:
    with pytest.raises(RuntimeError, match="aiortc"):
        tap_packets(object(), print, print)  # type: ignore[arg-type]


async def test_rooms_on_this_machine_offer_its_loopback_address() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("audio")
    ice = ice_of(connection)
    assert hasattr(ice, GATHER), "aioice gathers its candidates elsewhere now"
    Door(ice, loopback=True, bounds=MediaBounds(), excess=Excess("x")).open()
    await connection.setLocalDescription()
    assert " 127.0.0.1 " in connection.localDescription.sdp
    await connection.close()


async def test_aiortc_still_has_what_is_guarded() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = connection.addTransceiver("audio")
    transport = transceiver.receiver.transport
    assert hasattr(connection, CONNECT)
    for name in (HANDLE_RTP, HANDLE_RTCP_DATA, "_rtp_router", "_rx_srtp"):
        assert hasattr(transport, name)
    assert hasattr(transport, "_rtp_header_extensions_map")
    assert hasattr(transport._rtp_router, "ssrc_table")
    assert hasattr(transceiver.receiver, "_enabled")
    for end in (transceiver.sender, transceiver.receiver):
        assert hasattr(end, RUN_RTCP)
        assert hasattr(end, HANDLE_RTCP)
    assert hasattr(transceiver.sender, RETRANSMIT)
    assert hasattr(transceiver.receiver, "_send_rtcp_nack")
    ice = ice_of(connection)
    for name in ("_protocols", "_nominated", "_check_list", "build_request"):
        assert hasattr(ice, name)
    await connection.close()


async def test_asyncio_still_lets_go_of_a_socket_that_it_reads() -> None:
    loop = asyncio.get_running_loop()
    read: list[bytes] = []

    class Reader(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            read.append(data)

    transport, _ = await loop.create_datagram_endpoint(Reader, local_addr=("127.0.0.1", 0))
    sock = socket_of(transport)
    assert sock is not None, "asyncio's transports keep their sockets elsewhere now"
    leave_unread(sock)
    transport.sendto(b"to itself", sock.getsockname())
    await asyncio.sleep(0.05)
    assert not read
    assert sock.recv(100) == b"to itself"
    transport.close()
    await asyncio.sleep(0)
    assert sock.fileno() == -1


async def test_jitter_is_that_of_the_network_and_not_of_our_reading() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = connection.addTransceiver("audio").receiver
    getattr(receiver, CODECS)[111] = RTCRtpCodecParameters("audio/opus", 48000)
    came: list[int] = []
    tap_packets(receiver, lambda _, arrived_ns: came.append(arrived_ns), list)
    begun_ns = time.monotonic_ns() - 10 * NS_PER_S
    arrived_ns = [begun_ns + number * NS_PER_S // 50 for number in range(500)]
    for number, each_ns in enumerate(arrived_ns):  # all are read now
        packet = RtpPacket(payload_type=111, sequence_number=number, timestamp=960 * number)
        received_directly(receiver, packet, each_ns)
    assert came == arrived_ns
    (statistics,) = getattr(receiver, REMOTE_STREAMS).values()
    assert hasattr(statistics, LAST_ARRIVAL)
    assert statistics.packets_received == 500
    assert statistics.jitter < 48  # a millisecond; it was a frame and more
    await connection.close()
