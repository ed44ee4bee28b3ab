"""Whether a recording and its report belong together, and who says so."""

from __future__ import annotations

import enum
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...types.errors import FileError
from ..disk import Disk
from ..naming import report_path
from ..report_file import read_report
from . import signatures
from .hashing import sha256_of
from .seal import Seal, check_seal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Verdict(enum.StrEnum):
    """What :func:`verify_recording` found."""

    MATCH = "match"
    """File and report are as they were written."""
    FILE_CHANGED = "file_changed"
    """The report is as it was written, and it is not this file's: the file was changed."""
    REPORT_CHANGED = "report_changed"
    """The report was changed since it was written; the file may have been, too."""
    MISMATCH = "mismatch"
    """They do not belong together; which of the two was changed cannot be known."""
    OTHER_SIGNER = "other_signer"
    """They belong together, but the key that was asked for did not sign."""
    NO_REPORT = "no_report"
    DAMAGED_REPORT = "damaged_report"
    """The report cannot be read, or has no SHA-256 of the file."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a check.

    Attributes:
        file, report: The two, absolute.
        verdict: What was found.
        words: The same in one line.
        sha256: Of the file as it is, in hex; empty where it was not read.
        expected_sha256: What the report says.
        key_fingerprint: Of the key whose signature the report has, in hex: the SHA-256 of the key
            in DER. Empty where it is not signed, or the signature is not right.
        error: Why the recording ended early, as the report says; empty if it did not.
    """

    file: str
    report: str
    verdict: Verdict
    words: str
    sha256: str = ""
    expected_sha256: str = ""
    key_fingerprint: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether file and report belong together (and the key is the right one)."""
        return self.verdict is Verdict.MATCH

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready copy."""
        return {"ok": self.ok, **asdict(self)}


def verify_recording(
    path: str | os.PathLike[str],
    *,
    report: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
) -> Verification:
    """Say whether a recording and its report belong together. Nothing is changed.

    Args:
        path: The recording.
        report: Its report; beside it (``call.wav.json``) if left out.
        key: The public key (Ed25519, PEM file) that must have signed; anybody's will do if left
            out, nobody's too.

    Raises:
        FileError: The recording cannot be read.
        ConfigurationError: The key cannot be.
        MissingExtraError: There is a signature or a key to look at, and cryptography is not
            installed.
    """
    wanted = None if key is None else _key_of(Path(key))
    file = Path(os.path.abspath(path))  # noqa: PTH100 (resolve() follows links)
    beside = report_path(file) if report is None else Path(os.path.abspath(report))  # noqa: PTH100
    if not file.is_file():
        raise FileError(f"{file}: no such file")

    def told(verdict: Verdict, words: str, **facts: str) -> Verification:
        return Verification(str(file), str(beside), verdict, f"{file}: {words}", **facts)

    if not beside.is_file():
        return told(
            Verdict.NO_REPORT, f"there is no report at {beside}: record with report=True (--report)"
        )
    try:
        said = read_report(beside)
        expected = said.get("sha256")
        if not isinstance(expected, str) or not expected:
            raise ValueError("it has no SHA-256 of the file")
        found = check_seal(said)
    except (OSError, ValueError, RecursionError) as error:
        words = (getattr(error, "strerror", None) or str(error)).lower()
        return told(Verdict.DAMAGED_REPORT, f"the report {beside} tells nothing: {words}")
    actual = _sha256(file)
    broken_off = said.get("error")
    facts = {
        "sha256": actual,
        "expected_sha256": expected,
        "error": broken_off if isinstance(broken_off, str) else "",
    }
    signer = found.signer if found is not None and found.whole else None
    if signer is not None:
        facts["key_fingerprint"] = _fingerprint(signer)
    verdict, words = _judged(found, actual == expected)
    if verdict is Verdict.MATCH and wanted is not None:
        if signer is None:
            words = "file and report belong together, but nobody signed the report"
            verdict = Verdict.OTHER_SIGNER
        elif _fingerprint(signer) != _fingerprint(wanted):
            verdict = Verdict.OTHER_SIGNER
            words += f", which is not the key {_fingerprint(wanted)} that was asked for"
    return told(verdict, words, **facts)


def _judged(found: Seal | None, fits: bool) -> tuple[Verdict, str]:
    signed = found is not None and found.signer is not None
    if found is not None and not found.whole:
        how = "its signature is not right" if signed else "its own checksum is not right"
        file = "the file is as it says" if fits else "and it does not fit the file"
        return Verdict.REPORT_CHANGED, f"the report was changed since it was written: {how}; {file}"
    if fits:
        if found is None or found.signer is None:
            return Verdict.MATCH, "file and report belong together; the report is not signed"
        by = _fingerprint(found.signer)
        return Verdict.MATCH, f"file and report belong together; signed by key {by}"
    if found is None:
        return (
            Verdict.MISMATCH,
            "file and report do not belong together: one of them was changed, and the report has "
            "nothing that would tell which",
        )
    if found.signer is None:
        return Verdict.FILE_CHANGED, "the file was changed; the report's own checksum is right"
    by = _fingerprint(found.signer)
    return Verdict.FILE_CHANGED, f"the file was changed; its report is as key {by} signed it"


def _sha256(file: Path) -> str:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return sha256_of(fd, Disk())
        finally:
            os.close(fd)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise FileError(f"{file}: cannot be read: {words}") from None


def _key_of(path: Path) -> Ed25519PublicKey:
    with signatures():
        from .keys import load_public_key  # noqa: PLC0415
    return load_public_key(path)


def _fingerprint(key: Ed25519PublicKey) -> str:
    from .keys import fingerprint  # noqa: PLC0415 (whoever has a key has the package)

    return fingerprint(key)
