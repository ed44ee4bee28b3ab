"""Session descriptions (SDP, RFC 8866) at the door: what of them is taken in, and what is refused.

aiortc takes every section that is offered, with every codec that it knows, and all candidates.
A recorder wants audio that it can decode, over one transport. So a description is read here
first: sections that are no audio, cannot be decoded, would need a transport of their own, or are
too many are kept from aiortc and refused in the answer (port 0, RFC 3264 section 6); candidates
are taken out, and added one by one, up to a bound.

The module does no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..rtp.bounds import (
    MAX_CANDIDATE_BYTES,
    MAX_LINE_BYTES,
    MAX_SDP_BYTES,
    MAX_SECTION_LINES,
    MAX_SECTIONS,
)

CODECS = ("opus", "g722", "pcmu", "pcma")
"""What can be decoded, the best first."""
_STATIC = {0: "pcmu", 8: "pcma", 9: "g722"}
"""Payload types that mean a codec without saying so (RFC 3551)."""
_CANDIDATE = "a=candidate:"
_BUNDLE = "a=group:BUNDLE"
_RTPMAP = re.compile(r"a=rtpmap:(\d{1,3}) ([^/ ]+)/(\d{1,6})")
_OPUS_PARAMETERS = "minptime=10;useinbandfec=1"


class DescriptionError(ValueError):
    """A description that cannot be taken in; the message says why."""


@dataclass(eq=False)  # two that say the same are two
class Section:
    """One ``m=`` section, without its candidates.

    Attributes:
        lines: As they came, the ``m=`` line first.
        mid: Its name; empty in descriptions from before BUNDLE.
        codecs: What its payload types mean, of those that can be decoded.
        nack: Payload types for which the other side answers NACKs (RFC 4585).
    """

    lines: list[str]
    mid: str = ""
    codecs: dict[int, str] = field(default_factory=dict)
    nack: set[int] = field(default_factory=set)

    @property
    def has_opus(self) -> bool:
        return "opus" in self.codecs.values()

    @property
    def wanted(self) -> bool:
        """Audio that is not refused and has a codec that can be decoded."""
        words = self.lines[0].split(" ")
        there = words[1] != "0" or "a=bundle-only" in self.lines
        return words[0] == "m=audio" and there and bool(self.codecs)

    def refusal(self) -> list[str]:
        words = self.lines[0].split(" ")
        lines = [" ".join((words[0], "0", *words[2:])), "c=IN IP4 0.0.0.0", "a=inactive"]
        return [*lines, f"a=mid:{self.mid}"] if self.mid else lines


class Description:
    """What the other side says of itself.

    Args:
        sdp: As it came.
        tracks: How many audio sections are taken in.

    Attributes:
        taken: The sections that aiortc is told of, in order.
        candidates: All that it names, each once, without ``candidate:``.
        complete: Whether it says that there are no more.
        surplus: How many sections could be decoded and are refused, for being too many.

    Raises:
        DescriptionError: It is too long, broken, or has no audio that can be decoded.
    """

    def __init__(self, sdp: object, *, tracks: int) -> None:
        self._head, self._sections = _read(sdp)
        self.candidates: list[str] = []
        self.complete = False
        self._take_candidates()
        self.taken: list[Section] = []
        self.surplus = 0
        bundled = self._bundled()
        mids: set[str] = set()
        for section in self._sections:
            alone = not self.taken or (section.mid in bundled and self.taken[0].mid in bundled)
            if section.wanted and alone and section.mid not in mids:
                if len(self.taken) < tracks:
                    self.taken.append(section)
                else:
                    self.surplus += 1
            mids.add(section.mid)
        if not self.taken:
            raise DescriptionError("it has no audio in Opus, G.722, PCMU or PCMA")

    @property
    def sdp(self) -> str:
        """For aiortc: the sections taken, without candidates."""
        head = [line for line in self._head if not line.startswith(_BUNDLE)]
        mids = [section.mid for section in self.taken if section.mid]
        if mids:
            head.append(" ".join((_BUNDLE, *mids)))
        return _joined(head, *(section.lines for section in self.taken))

    def answered(self, sdp: str) -> str:
        """The answer to all sections, from aiortc's to those that it was told of."""
        head, sections = _read(sdp)
        if len(sections) != len(self.taken):
            raise DescriptionError("the answer has other sections than the offer")
        answers = iter(sections)
        return _joined(
            head,
            *(
                next(answers).lines if section in self.taken else section.refusal()
                for section in self._sections
            ),
        )

    def _bundled(self) -> set[str]:
        """The names of the sections that share the first group's transport."""
        for line in self._head:
            if line.startswith(_BUNDLE):
                return set(line.split(" ")[1:]) - {""}
        return set()

    def _take_candidates(self) -> None:
        seen: dict[str, None] = {}
        for lines in (self._head, *(section.lines for section in self._sections)):
            kept = []
            for line in lines:
                if line.startswith(_CANDIDATE):
                    seen[line.removeprefix(_CANDIDATE)[:MAX_CANDIDATE_BYTES]] = None
                elif line == "a=end-of-candidates":
                    self.complete = True
                else:
                    kept.append(line)
            if len(kept) > MAX_SECTION_LINES:
                raise DescriptionError(f"it has sections of more than {MAX_SECTION_LINES} lines")
            lines[:] = kept
        self.candidates = list(seen)


def spoken(sdp: str, *, nack: Sequence[bool]) -> str:
    """What we say of ourselves, with what aiortc does not know of Opus.

    Packets should carry the one before them in short (``useinbandfec``, RFC 7587), and what is
    lost can be asked for again (``nack``, RFC 4585).

    Args:
        sdp: As aiortc made it.
        nack: For each section, whether to say the latter. An answer may only say what was offered.
    """
    head, sections = _read(sdp)
    for section, asks in zip(sections, nack, strict=True):
        for payload in (each for each, codec in section.codecs.items() if codec == "opus"):
            lines = [
                line
                for line in section.lines
                if not line.startswith((f"a=fmtp:{payload} ", f"a=rtcp-fb:{payload} "))
            ]
            at = 1 + next(
                number
                for number, line in enumerate(lines)
                if line.startswith(f"a=rtpmap:{payload} ")
            )
            lines[at:at] = [f"a=fmtp:{payload} {_OPUS_PARAMETERS}"]
            if asks:
                lines.insert(at, f"a=rtcp-fb:{payload} nack")
            section.lines = lines
    return _joined(head, *(section.lines for section in sections))


def _read(sdp: object) -> tuple[list[str], list[Section]]:
    """The lines before the first section, and the sections."""
    if not isinstance(sdp, str):
        raise DescriptionError("it is no text")
    if len(sdp) > MAX_SDP_BYTES:
        raise DescriptionError(f"it is longer than {MAX_SDP_BYTES} bytes")
    lines = sdp.splitlines()  # at whatever aiortc takes for the end of a line
    if any(len(line) > MAX_LINE_BYTES for line in lines):
        raise DescriptionError(f"it has lines longer than {MAX_LINE_BYTES} bytes")
    head: list[str] = []
    sections: list[Section] = []
    for line in lines:
        if line.startswith("m="):
            if len(line.split(" ")) < 4:
                raise DescriptionError(f"it has the line {line!r}")
            sections.append(Section([line]))
        elif line:
            (sections[-1].lines if sections else head).append(line)
    if len(sections) > MAX_SECTIONS:
        raise DescriptionError(f"it has more than {MAX_SECTIONS} sections")
    for section in sections:
        _understand(section)
    return head, sections


def _understand(section: Section) -> None:
    payloads = {int(word) for word in section.lines[0].split(" ")[3:] if _is_payload(word)}
    named = dict(_named(section.lines))
    for payload in sorted(payloads):
        if payload not in named and payload in _STATIC:
            named[payload] = _STATIC[payload]
            section.lines.append(f"a=rtpmap:{payload} {_STATIC[payload].upper()}/8000")
        if named.get(payload):
            section.codecs[payload] = named[payload]
    for line in section.lines:
        if line.startswith("a=mid:"):
            section.mid = line.removeprefix("a=mid:").strip()
        elif line.startswith("a=rtcp-fb:") and line.endswith(" nack"):
            word = line.removeprefix("a=rtcp-fb:").split(" ")[0]
            section.nack |= payloads if word == "*" else {int(word)} if _is_payload(word) else set()


def _named(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    for line in lines:
        found = _RTPMAP.match(line)
        if found:
            codec, rate_hz = found[2].lower(), int(found[3])
            right = rate_hz == (48000 if codec == "opus" else 8000)
            yield int(found[1]), codec if right and codec in CODECS else ""


def _is_payload(word: str) -> bool:
    return word.isascii() and word.isdigit() and int(word[:4]) < 128


def _joined(*parts: Sequence[str]) -> str:
    return "".join(f"{line}\r\n" for part in parts for line in part)
