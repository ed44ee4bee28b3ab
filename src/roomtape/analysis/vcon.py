"""A vCon of a finished recording: who spoke, when, the file by name and hash, and what is missing.

After draft-ietf-vcon-vcon-core-03 ("The JSON format for vCon - Conversation Data Container", until
July 2025 draft-ietf-vcon-vcon-container), of 1 July 2026: syntax 0.4.0, unsigned form. Words in
quotation marks are that draft's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import secrets
import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..storage.disk import Disk
from ..storage.finishing import new_file
from ..storage.naming import report_path
from ..storage.notes.cuts import read_cuts
from ..storage.proof.canonical import escaped
from ..storage.proof.verify import Verdict, verify_recording
from ..storage.report_file import read_report
from ..types import IntervalKind
from ..types.errors import ConfigurationError, DamagedFileError, FileError

SYNTAX = "0.4.0"
MOST_INLINE_BYTES = 64 << 20
"""A larger file has no place in a JSON document."""

_MEDIA_TYPES = {"wav": "audio/x-wav", "aac": "audio/aac"}
_GAPS = (IntervalKind.LOST, IntervalKind.LATE, IntervalKind.STALLED)
_PIECE = 1 << 20
_MOST_S = 1e9


def make_vcon(
    path: str | os.PathLike[str],
    *,
    report: str | os.PathLike[str] | None = None,
    url: str | None = None,
    inline: bool = False,
    subject: str | None = None,
    created_at: datetime | None = None,
) -> dict[str, Any]:
    """Make a vCon, JSON-ready, of a recording and its report.

    Args:
        path: The recording.
        report: Its report; beside it (``call.wav.json``) if left out.
        url: Where the recording can be had (https); its name and hash alone are given if left out.
        inline: Put the recording itself into the vCon (at most 64 MiB), not a reference.
        subject: What the conversation was about.
        created_at: The time of the vCon (timezone-aware); now if left out.

    Raises:
        ConfigurationError: The URL is none, or url and inline were both asked for.
        FileError: The recording or its report cannot be read, or they do not belong together
            (``verify`` says more). DamagedFileError: The report lacks what a vCon needs.
    """
    if url is not None and inline:
        raise ConfigurationError("a recording is either inline or at a URL, not both")
    if url is not None and (urlsplit(url).scheme != "https" or not urlsplit(url).netloc):
        raise ConfigurationError(f"{url!r} is no URL of a recording: a vCon needs https://...")
    file = Path(os.path.abspath(path))  # noqa: PTH100 (resolve() follows links)
    beside = report_path(file) if report is None else Path(report)
    found = verify_recording(file, report=beside)
    if found.verdict is not Verdict.MATCH:
        raise FileError(found.words)
    try:
        return _Conversation(file, read_report(beside)).vcon(url, inline, subject, created_at)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise FileError(f"{file}: cannot be read: {words}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DamagedFileError(
            f"{beside}: no report that a vCon can be made of: {error!r}"
        ) from None


def write_vcon(
    vcon: dict[str, Any], output: str | os.PathLike[str], *, disk: Disk | None = None
) -> Path:
    """Write a vCon; what stands there is moved aside.

    Raises:
        FileError: It cannot be written; nothing is left behind then.
    """
    path = Path(os.path.abspath(output))  # noqa: PTH100 (resolve() follows links)
    disk = disk or Disk()
    try:
        with new_file(path, disk) as fd:
            disk.write_at(fd, vcon_text(vcon).encode(), 0)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise FileError(f"cannot write {path}: {words}") from None
    return path


def vcon_text(vcon: dict[str, Any]) -> str:
    """The vCon as it is written."""
    return escaped(json.dumps(vcon, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


class _Conversation:
    """One recording on its way into a vCon; its report is somebody's JSON, and raises what that
    raises."""

    def __init__(self, file: Path, report: dict[str, Any]) -> None:
        self._file = file
        self._report = report
        if not isinstance(report["started_at"], str):
            raise ValueError("it does not say when the recording began")
        self._start = datetime.fromisoformat(report["started_at"]).astimezone(UTC)
        self._duration_s = _seconds(report["duration_s"])
        self._cuts = read_cuts(report)
        # One entry a participant and stay: who comes again is the same party.
        self._sources = [
            ((str(each["name"]), bool(each["local"])), each) for each in report.get("sources", ())
        ]
        self._parties = list(dict.fromkeys(key for key, _ in self._sources))

    def vcon(
        self, url: str | None, inline: bool, subject: str | None, created_at: datetime | None
    ) -> dict[str, Any]:
        created_at = created_at or datetime.now(UTC)
        return {
            "vcon": SYNTAX,
            "uuid": str(_uuid8(created_at)),
            "created_at": _date(created_at),
            **({"subject": subject} if subject is not None else {}),
            # "validation SHOULD be provided if name is": nobody has proven who they are.
            "parties": [{"name": name, "validation": "none"} for name, _ in self._parties],
            "dialog": [self._dialog(url, inline)],
            "analysis": [
                _analysis("roomtape-gaps-1", {"gaps": list(self._gaps())}),
                _analysis("roomtape-report-1", self._report),
            ],
        }

    def _dialog(self, url: str | None, inline: bool) -> dict[str, Any]:
        if inline:
            if self._file.stat().st_size > MOST_INLINE_BYTES:
                raise FileError(
                    f"{self._file}: larger than {MOST_INLINE_BYTES >> 20} MiB: too large to be "
                    "inline; give a URL"
                )
            content = {"body": _base64url(self._file.read_bytes()), "encoding": "base64url"}
        else:
            content = {"url": url} if url is not None else {}
        return {
            "type": "recording",
            "start": _date(self._start),
            "duration": self._duration_s,
            "parties": self._mixed(),
            "mediatype": _MEDIA_TYPES[self._report["format"]],
            "filename": self._file.name,
            **content,
            "content_hash": self._hashes(),
            "party_history": sorted(self._history(), key=lambda event: str(event["time"])),
        }

    def _mixed(self) -> list[Any]:
        """Who is in the one channel, or in each of two: the local side left, the others right."""
        everybody = list(range(len(self._parties)))
        if self._report.get("channels", 1) != 2:
            return everybody
        sides = [[n for n in everybody if self._parties[n][1] is local] for local in (True, False)]
        return [side or None for side in sides]

    def _hashes(self) -> list[str]:
        """ "SHA-512 MUST be supported"; and the one that the report has."""
        digest = hashlib.sha512()
        with self._file.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
        sha256 = bytes.fromhex(self._report["sha256"])
        return [f"sha512-{_base64url(digest.digest())}", f"sha256-{_base64url(sha256)}"]

    def _history(self) -> Iterator[dict[str, Any]]:
        for key, source in self._sources:
            party = self._parties.index(key)
            left_s = _seconds(source["left_s"])
            yield self._event(party, _seconds(source["joined_s"]), "join")
            for start_s, end_s in _intervals(source, IntervalKind.MUTED):
                yield self._event(party, start_s, "mute")
                if end_s < self._duration_s:
                    yield self._event(party, end_s, "unmute")
            if left_s < self._duration_s:
                yield self._event(party, left_s, "drop")

    def _gaps(self) -> Iterator[dict[str, Any]]:
        """What is missing: of one party, or in the file itself (party null)."""
        for key, source in self._sources:
            for kind in _GAPS:
                for start_s, end_s in _intervals(source, kind):
                    yield self._gap(self._parties.index(key), kind.value, start_s, end_s)
        for torn in self._report.get("recovered", {}).get("missing", ()):
            yield self._gap(None, "torn", _seconds(torn["start_s"]), _seconds(torn["end_s"]))
        unwritten_s = _seconds(self._report.get("unwritten_s", 0))
        if unwritten_s:
            end_s = self._duration_s + unwritten_s
            yield self._gap(None, "unwritten", self._duration_s, end_s)

    def _gap(self, party: int | None, kind: str, start_s: float, end_s: float) -> dict[str, Any]:
        return {
            "party": party,
            "kind": kind,
            "time": self._time(start_s),
            "start_s": start_s,
            "end_s": end_s,
        }

    def _event(self, party: int, at_s: float, event: str) -> dict[str, Any]:
        return {"party": party, "time": self._time(at_s), "event": event}

    def _time(self, at_s: float) -> str:
        """Of a moment of the file, from which pauses may have been cut out."""
        cut_s = sum(cut.lasted_s for cut in self._cuts if cut.at_s <= at_s)
        return _date(self._start + timedelta(seconds=at_s + cut_s))


def _analysis(schema: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "report",
        "dialog": 0,
        "vendor": "Roomtape",
        "schema": schema,
        "encoding": "json",
        "body": body,
    }


def _intervals(source: dict[str, Any], kind: IntervalKind) -> Iterator[tuple[float, float]]:
    for each in source.get("intervals", ()):
        if each["kind"] == kind.value:
            yield _seconds(each["start_s"]), _seconds(each["end_s"])


def _seconds(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError(f"{given!r} is no number of seconds")
    if not math.isfinite(given) or not 0 <= given <= _MOST_S:
        raise ValueError(f"{given!r} are no seconds of a recording")
    return float(given)


def _date(moment: datetime) -> str:
    """RFC 3339, as in section 1.4 of RFC 8620: no fraction that is zero."""
    return moment.astimezone(UTC).isoformat()


def _base64url(data: bytes) -> str:
    """Without padding, as in section 2 of RFC 7515."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _uuid8(created_at: datetime) -> uuid.UUID:
    """ "Identically to a version 7 UUID with the exception that rand_b is generated from the high
    62 bits of the SHA-1 hash of the FQHN"."""
    milliseconds = int(created_at.timestamp() * 1000)
    host = hashlib.sha1(socket.gethostname().encode(), usedforsecurity=False).digest()
    rand_b = int.from_bytes(host[:8], "big") >> 2
    value = (milliseconds & (1 << 48) - 1) << 80 | 8 << 76 | secrets.randbits(12) << 64
    return uuid.UUID(int=value | 0b10 << 62 | rand_b)
