"""rooms/rtp/aiortc_internals.py: what it needs of aiortc and aioice is there."""

from __future__ import annotations

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtp import RtpPacket

from roomtape.rooms.rtp.aioice_internals import GATHER, Door
from roomtape.rooms.rtp.aiortc_internals import (
    CONNECT,
    HANDLE_RTCP,
    HANDLE_RTCP_DATA,
    HANDLE_RTP,
    JITTER_BUFFER,
    RETRANSMIT,
    RUN_RTCP,
    ice_of,
    tap_packets,
)
from roomtape.rooms.rtp.bounds import Excess, MediaBounds


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
    tap_packets(receiver, got.append, list)
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
