"""Offers of a LiveKit server: what is whose, and what aiortc is told of it."""

from __future__ import annotations

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription

from roomtape.rooms.livekit.description import MAX_TRACKS, OfferError, ServerOffer

FINGERPRINT = ":".join(["D7"] * 32)
HEAD = f"""v=0
o=- 8620628426996657820 1795667224 IN IP4 0.0.0.0
s=-
t=0 0
a=msid-semantic:WMS *
a=fingerprint:sha-256 {FINGERPRINT}
"""
ICE = """a=ice-ufrag:gbbVOVxDXtEHAKLF
a=ice-pwd:JuLbftTmdPbxKBXTDlFaekpqhQNcmoGM
"""
CANDIDATES = """a=candidate:2878742611 1 udp 2130706431 127.0.0.1 17882 typ host
a=candidate:2878742611 2 udp 2130706431 127.0.0.1 17882 typ host
a=end-of-candidates
"""
DATA = f"""m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:0
a=sendrecv
a=sctp-port:5000
{ICE}"""


def audio(mid: str, *, ssrc: int | None = None, track: str = "", way: str = "sendrecv") -> str:
    named = (
        f"a=ssrc:{ssrc} cname:PA_1|{track}\na=ssrc:{ssrc} msid:PA_1|{track} {track}\n"
        if ssrc is not None
        else ""
    )
    return f"""m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0 8
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:{mid}
{ICE}a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtcp-fb:111 nack
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
{named}a={way}
"""


VIDEO = f"""m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:v
{ICE}a=rtpmap:96 VP8/90000
a=sendrecv
"""


def offered(*sections: str, bundle: str = "0 1 2") -> str:
    return f"{HEAD}a=group:BUNDLE {bundle}\n" + "".join(sections)


def test_tracks_are_known_by_ssrc_and_msid() -> None:
    offer = ServerOffer(
        offered(DATA, audio("1", ssrc=7, track="TR_a"), audio("2", ssrc=8, track="TR_b"))
    )
    assert [section.tracks for section in offer.sections] == [{}, {7: "TR_a"}, {8: "TR_b"}]
    assert offer.sections[1].codecs == {111: "opus", 0: "pcmu", 8: "pcma"}


@pytest.mark.parametrize("way", ["inactive", "recvonly"])
def test_a_section_that_rests_has_no_track(way: str) -> None:
    offer = ServerOffer(offered(DATA, audio("1", ssrc=7, track="TR_a", way=way)))
    assert offer.sections[1].tracks == {}


def test_candidates_are_taken_out_once_each() -> None:
    offer = ServerOffer(offered(DATA + CANDIDATES, audio("1") + CANDIDATES))
    assert len(offer.candidates) == 2
    assert "candidate" not in offer.sdp


def test_video_is_kept_from_aiortc_and_refused() -> None:
    offer = ServerOffer(offered(DATA, VIDEO, audio("1", ssrc=7, track="TR_a")))
    assert "m=video" not in offer.sdp
    told = SessionDescription.parse(offer.sdp)
    assert [media.kind for media in told.media] == ["application", "audio"]
    ours = offered(DATA, audio("1", way="recvonly"))
    assert "m=video 0 " in offer.answered(ours)


def test_red_is_kept_from_aiortc_since_the_server_unpacks_it() -> None:
    told = ServerOffer(offered(DATA, audio("1"))).sdp
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8" in told
    assert "red" not in told


async def test_the_answer_says_nack_and_fec() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    offer = ServerOffer(offered(DATA, audio("1", ssrc=7, track="TR_a"), bundle="0 1"))
    await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
    await connection.setLocalDescription()
    lines = offer.answered(connection.localDescription.sdp).splitlines()
    await connection.close()
    place = lines.index("a=rtpmap:111 opus/48000/2")
    assert lines[place + 1 : place + 3] == [
        "a=rtcp-fb:111 nack",
        "a=fmtp:111 minptime=10;useinbandfec=1",
    ]
    assert not any("red/" in line for line in lines)


@pytest.mark.parametrize(
    ("sdp", "words"),
    [
        (HEAD, "neither audio nor data"),
        (offered("m=audio\n"), "broken section"),
        (offered(DATA, "a=" + "x" * 2000 + "\n"), "lines longer"),
        (offered(*[audio(str(number)) for number in range(MAX_TRACKS + 1)]), "sections"),
        ("x" * (1 << 22), "longer than"),
        (offered(DATA + "a=x\n" * 300), "lines"),
    ],
)
def test_an_offer_beyond_its_bounds_is_refused(sdp: str, words: str) -> None:
    with pytest.raises(OfferError, match=words):
        ServerOffer(sdp)
