"""rooms/webrtc/description.py: what is taken in of what others say of themselves."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.rooms.rtp.bounds import MAX_SECTIONS
from roomtape.rooms.webrtc.description import Description, DescriptionError, spoken

HEAD = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"]
ICE = ["a=ice-ufrag:abcd", "a=ice-pwd:" + "x" * 22, "a=setup:actpass", "a=rtcp-mux"]
OPUS = ["a=rtpmap:111 opus/48000/2"]
CANDIDATE = "a=candidate:1 1 udp 2130706431 10.0.0.1 5000 typ host"


def section(mid: str, *lines: str, m: str = "m=audio 9 UDP/TLS/RTP/SAVPF 111") -> list[str]:
    return [m, "c=IN IP4 0.0.0.0", f"a=mid:{mid}", *ICE, *(lines or OPUS)]


def described(*sections: list[str], bundle: str = "0 1 2 3 4 5") -> str:
    lines = [*HEAD, f"a=group:BUNDLE {bundle}", *(line for each in sections for line in each)]
    return "".join(f"{line}\r\n" for line in lines)


def answer(taken: int) -> str:
    """As aiortc would make it."""
    return described(*(section(f"answer{number}") for number in range(taken)))


def test_audio_is_taken_and_the_rest_refused_in_its_place() -> None:
    offer = Description(
        described(
            section("0", "a=rtpmap:96 VP8/90000", m="m=video 9 UDP/TLS/RTP/SAVPF 96"),
            section("1"),
            section("2", m="m=application 9 UDP/DTLS/SCTP webrtc-datachannel"),
            section("3", "a=rtpmap:97 speex/16000", m="m=audio 9 UDP/TLS/RTP/SAVPF 97"),
        ),
        tracks=4,
    )
    assert [each.mid for each in offer.taken] == ["1"]
    assert "a=group:BUNDLE 1\r\n" in offer.sdp
    assert "m=video" not in offer.sdp
    lines = offer.answered(answer(1)).split("\r\n")
    assert [line for line in lines if line.startswith("m=")] == [
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        "m=audio 0 UDP/TLS/RTP/SAVPF 97",
    ]


def test_no_more_sections_are_taken_than_asked_for() -> None:
    offer = Description(described(*(section(str(number)) for number in range(6))), tracks=4)
    assert (len(offer.taken), offer.surplus) == (4, 2)
    assert offer.answered(answer(4)).count("m=audio 0 ") == 2


def test_a_section_that_is_there_twice_is_refused_the_second_time() -> None:
    offer = Description(described(section("0"), section("0")), tracks=4)
    assert len(offer.taken) == 1
    assert offer.answered(answer(1)).count("m=audio 0 ") == 1


def test_a_section_without_a_name_shares_no_path() -> None:
    offer = Description(described(section(""), section("1"), bundle=" 1"), tracks=4)
    assert [each.mid for each in offer.taken] == [""]


def test_a_section_that_needs_a_path_of_its_own_is_refused() -> None:
    offer = Description(described(section("0"), section("1"), bundle="0"), tracks=4)
    assert [each.mid for each in offer.taken] == ["0"]


def test_candidates_are_taken_out_each_once_wherever_they_hide() -> None:
    hidden = f"a=x\x0b{CANDIDATE}\x85{CANDIDATE.replace('5000', '5001')}"
    offer = Description(
        described(section("0", *OPUS, CANDIDATE, CANDIDATE, hidden, "a=end-of-candidates")),
        tracks=4,
    )
    assert [text.split(" ")[5] for text in offer.candidates] == ["5000", "5001"]
    assert offer.complete
    assert "candidate" not in offer.sdp


def test_static_payload_types_need_no_name() -> None:
    offer = Description(described(section("0", m="m=audio 9 UDP/TLS/RTP/SAVPF 0 8 9")), tracks=4)
    assert offer.taken[0].codecs == {0: "pcmu", 8: "pcma", 9: "g722"}
    assert "a=rtpmap:0 PCMU/8000" in offer.sdp


def test_a_codec_of_the_wrong_rate_is_none() -> None:
    with pytest.raises(DescriptionError, match="no audio"):
        Description(described(section("0", "a=rtpmap:111 opus/8000")), tracks=4)


@pytest.mark.parametrize(
    ("sdp", "says"),
    [
        (None, "no text"),
        (["v=0"], "no text"),
        ("", "no audio"),
        ("x" * 70000, "longer than 65536"),
        ("v=0\r\na=" + "x" * 2000, "lines longer"),
        (described(*(section(str(n)) for n in range(MAX_SECTIONS + 1))), "more than 32 sections"),
        (described(section("0", *["a=x"] * 300)), "more than 256 lines"),
        (described(section("0", m="m=audio")), "m=audio"),
    ],
)
def test_what_cannot_be_taken_in_is_refused_with_its_reason(sdp: object, says: str) -> None:
    with pytest.raises(DescriptionError, match=says):
        Description(sdp, tracks=4)


def test_we_say_that_we_ask_again_and_that_we_understand_fec() -> None:
    ours = spoken(described(section("0"), section("1")), nack=[True, False])
    assert ours.count("a=fmtp:111 minptime=10;useinbandfec=1\r\n") == 2
    assert ours.count("a=rtcp-fb:111 nack\r\n") == 1
    assert Description(ours, tracks=4).taken[0].nack == {111}


@pytest.mark.parametrize("line", ["a=rtcp-fb:111 nack", "a=rtcp-fb:* nack"])
def test_whether_the_other_side_answers_nacks_is_understood(line: str) -> None:
    assert Description(described(section("0", *OPUS, line)), tracks=1).taken[0].nack == {111}
    assert not Description(described(section("0", *OPUS, f"{line} pli")), tracks=1).taken[0].nack


LINES = st.one_of(
    st.sampled_from([*HEAD, *ICE, *OPUS, CANDIDATE, "a=group:BUNDLE 0 1", "a=mid:0", "a=mid:1"]),
    st.sampled_from(
        ["m=audio 9 UDP/TLS/RTP/SAVPF 111 0", "m=audio 0 UDP/TLS/RTP/SAVPF 111", "m=video 9 X 96"]
    ),
    st.text(max_size=40),
    st.builds("a=rtpmap:{} {}/{}".format, st.integers(), st.text(max_size=9), st.integers()),
    st.builds("a=rtcp-fb:{} nack".format, st.text(max_size=6)),
    st.builds("m=audio {} X {}".format, st.text(max_size=5), st.text(max_size=9)),
)


@given(st.lists(LINES, max_size=40))
def test_whatever_comes_is_taken_in_or_refused_in_words(lines: list[str]) -> None:
    with contextlib.suppress(DescriptionError):
        offer = Description("\r\n".join(lines), tracks=2)
        assert 1 <= len(offer.taken) <= 2
        assert "a=candidate" not in offer.sdp
        again = Description(offer.sdp, tracks=2)
        assert [each.codecs for each in again.taken] == [each.codecs for each in offer.taken]
