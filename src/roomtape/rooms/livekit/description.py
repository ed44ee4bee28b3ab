"""A LiveKit server's offers (SDP): whose audio comes in which section, and what aiortc is told.

The server offers one section for data and one for each audio track, all bundled over one transport.
A section whose track has ended is used again for another, so what is whose is known by SSRC and
``msid`` (participant and track), never by ``mid``. Sections that are neither are kept from aiortc
and refused in the answer. The module does no I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..rtp.bounds import MAX_CANDIDATE_BYTES, MAX_LINE_BYTES, MAX_SECTION_LINES

MAX_TRACKS = 256
"""Sections that are read: audio tracks at the same time, and the section for data."""
MAX_SDP_BYTES = 4096 * MAX_TRACKS
_CANDIDATE = "a=candidate:"
_BUNDLE = "a=group:BUNDLE"
_SSRC = re.compile(r"a=ssrc:(\d{1,10}) msid:(\S+) (\S+)")
_RTPMAP = re.compile(r"a=rtpmap:(\d{1,3}) ([A-Z0-9]+)/(\d{4,6})", re.IGNORECASE)
_CODECS = {"opus": 48000, "g722": 8000, "pcmu": 8000, "pcma": 8000}
"""What can be decoded, and its clock."""
_OPUS_PARAMETERS = "minptime=10;useinbandfec=1"


class OfferError(ValueError):
    """An offer that cannot be answered; the message says why."""


@dataclass
class Section:
    """One ``m=`` section, without its candidates.

    Attributes:
        lines: As they came, the ``m=`` line first.
        codecs: What its payload types mean, of those that can be decoded.
        nack: Payload types for which the server answers NACKs.
        tracks: Track ids by SSRC, of what is sent in it now.
    """

    lines: list[str]
    mid: str = ""
    codecs: dict[int, str] = field(default_factory=dict)
    nack: set[int] = field(default_factory=set)
    tracks: dict[int, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.lines[0].removeprefix("m=").split(" ")[0]

    @property
    def wanted(self) -> bool:
        return self.kind == "application" or (self.kind == "audio" and bool(self.codecs))

    def refusal(self) -> list[str]:
        words = self.lines[0].split(" ")
        lines = [" ".join((words[0], "0", *words[2:])), "c=IN IP4 0.0.0.0", "a=inactive"]
        return [*lines, f"a=mid:{self.mid}"]


class ServerOffer:
    """What the server offers.

    Attributes:
        sections: Those that are taken in, in order.
        candidates: All that it names, each once, without ``candidate:``.
        ufrag: Of its ICE; another than before means a restart.

    Raises:
        OfferError: It is too long or broken.
    """

    def __init__(self, sdp: str) -> None:
        self._head, self._all = _read(sdp)
        self.candidates = _take_candidates(self._head, self._all)
        for section in self._all:
            _understand(section)
        self.sections = [section for section in self._all if section.wanted]
        if not self.sections:
            raise OfferError("it has neither audio nor data")
        lines = [*self._head, *self.sections[0].lines]
        self.ufrag = next((line for line in lines if line.startswith("a=ice-ufrag:")), "")

    @property
    def sdp(self) -> str:
        """For aiortc: what is taken in, without candidates."""
        head = [line for line in self._head if not line.startswith(_BUNDLE)]
        head.append(" ".join((_BUNDLE, *(section.mid for section in self.sections))))
        return _joined(head, *(_plain(section) for section in self.sections))

    def answered(self, sdp: str) -> str:
        """The answer to all sections, from aiortc's to those that it was told of, with what aiortc
        does not know of Opus: FEC (RFC 7587), and NACK where it was offered (RFC 4585)."""
        head, answers = _read(sdp)
        if len(answers) != len(self.sections):
            raise OfferError("the answer has other sections than the offer")
        spoken = iter(
            _spoken(ours.lines, section)
            for ours, section in zip(answers, self.sections, strict=True)
        )
        parts = (next(spoken) if each.wanted else each.refusal() for each in self._all)
        return _joined(head, *parts)


def _plain(section: Section) -> list[str]:
    """A section as aiortc shall see it: of audio, only codecs that can be decoded, which it then
    answers with."""
    if section.kind != "audio":
        return section.lines
    words = section.lines[0].split(" ")
    known = "|".join(map(str, section.codecs))
    others = re.compile(rf"a=(rtpmap|fmtp|rtcp-fb):(?!({known}) )")
    lines = [line for line in section.lines[1:] if not others.match(line)]
    return [" ".join((*words[:3], *map(str, section.codecs))), *lines]


def _spoken(lines: list[str], section: Section) -> list[str]:
    spoken = []
    for line in lines:
        if line.startswith(("a=fmtp:", "a=rtcp-fb:")):
            continue
        spoken.append(line)
        found = _RTPMAP.match(line)
        if found and int(found[1]) in section.nack:
            spoken.append(f"a=rtcp-fb:{found[1]} nack")
        if found and found[2].lower() == "opus":
            spoken.append(f"a=fmtp:{found[1]} {_OPUS_PARAMETERS}")
    return spoken


def _read(sdp: str) -> tuple[list[str], list[Section]]:
    """The lines before the first section, and the sections."""
    if len(sdp) > MAX_SDP_BYTES:
        raise OfferError(f"it is longer than {MAX_SDP_BYTES} bytes")
    head: list[str] = []
    sections: list[Section] = []
    for line in sdp.splitlines():
        if len(line) > MAX_LINE_BYTES:
            raise OfferError(f"it has lines longer than {MAX_LINE_BYTES} bytes")
        if line.startswith("m="):
            if len(line.split(" ")) < 4:
                raise OfferError("it has a broken section")
            sections.append(Section([line]))
        elif line:
            (sections[-1].lines if sections else head).append(line)
    if len(sections) > MAX_TRACKS:
        raise OfferError(f"it has more than {MAX_TRACKS} sections")
    return head, sections


def _take_candidates(head: list[str], sections: list[Section]) -> list[str]:
    seen: dict[str, None] = {}
    for lines in (head, *(section.lines for section in sections)):
        kept = []
        for line in lines:
            if line.startswith(_CANDIDATE):
                seen[line.removeprefix(_CANDIDATE)[:MAX_CANDIDATE_BYTES]] = None
            elif line != "a=end-of-candidates":
                kept.append(line)
        if len(kept) > MAX_SECTION_LINES:
            raise OfferError(f"it has sections of more than {MAX_SECTION_LINES} lines")
        lines[:] = kept
    return list(seen)


def _understand(section: Section) -> None:
    payloads = section.lines[0].split(" ")[3:]
    sending = not {"a=inactive", "a=recvonly"}.intersection(section.lines)
    for line in section.lines:
        if line.startswith("a=mid:"):
            section.mid = line.removeprefix("a=mid:").strip()
        elif (found := _RTPMAP.match(line)) and found[1] in payloads:
            codec = found[2].lower()
            if _CODECS.get(codec) == int(found[3]):
                section.codecs[int(found[1])] = codec
        elif sending and (found := _SSRC.fullmatch(line)):
            section.tracks[int(found[1]) % (1 << 32)] = found[3]
    asked = {line.removeprefix("a=rtcp-fb:") for line in section.lines}
    section.nack = {payload for payload in section.codecs if f"{payload} nack" in asked}


def _joined(*parts: list[str]) -> str:
    return "".join(f"{line}\r\n" for part in parts for line in part)
