"""Sealing a report: a digest of its canonical form, and a signature of that form."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from ...types import ReportProof
from . import signatures
from .canonical import canonical_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

ALGORITHM = "Ed25519"


class Seal(NamedTuple):
    """What the seal of a report says.

    Attributes:
        whole: Whether the report is as it was when it was sealed.
        signer: Whose signature it has; None where it is not signed. Where ``whole`` is false,
            nobody vouches for it.
    """

    whole: bool
    signer: Ed25519PublicKey | None


def seal(report: dict[str, Any], key: Ed25519PrivateKey | None) -> ReportProof:
    """Seal a report, and sign it where there is a key.

    Args:
        report: JSON-ready; what it has as ``proof`` is left aside.
        key: Whose signature; None for nobody's.

    Raises:
        ValueError: It has no canonical form.
    """
    form = _sealed_form(report)
    digest = hashlib.sha256(form).hexdigest()
    if key is None:
        return ReportProof(digest)
    with signatures():
        from .keys import raw_public_key  # noqa: PLC0415
    return ReportProof(
        digest,
        algorithm=ALGORITHM,
        public_key=_base64(raw_public_key(key.public_key())),
        signature=_base64(key.sign(form)),
    )


def sealed(report: dict[str, Any], key: Ed25519PrivateKey | None) -> dict[str, Any]:
    """The same report with its seal in it: see :func:`seal`."""
    return {**report, "proof": asdict(seal(report, key))}


def check_seal(report: dict[str, Any]) -> Seal | None:
    """Whether a report is as it was sealed, and by whom; None for one that was not sealed.

    Raises:
        ValueError: What it has as its proof is none, or it has no canonical form.
        MissingExtraError: It is signed, and the package that looks at that is not installed.
    """
    given = report.get("proof")
    if given is None:
        return None
    try:
        proof = ReportProof(**given)
        form = _sealed_form(report)
        fits = hashlib.sha256(form).hexdigest() == proof.report_sha256
        if not proof.signature and not proof.public_key:
            return Seal(fits, None)
        if proof.algorithm != ALGORITHM:
            raise ValueError(f"it is signed with {proof.algorithm!r}, which is not known here")
        with signatures():
            from .keys import is_signed, public_key  # noqa: PLC0415
        signer = public_key(base64.b64decode(proof.public_key))
        signature = base64.b64decode(proof.signature)
    except TypeError as error:
        raise ValueError(f"its proof is none: {error}") from None
    return Seal(fits and is_signed(signer, signature, form), signer)


def _sealed_form(report: dict[str, Any]) -> bytes:
    return canonical_json({name: report[name] for name in report if name != "proof"})


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
