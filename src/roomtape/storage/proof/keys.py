"""Ed25519 keys (RFC 8032) in PEM files. What is in a private one is never told, not even in an
error."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from ...types.errors import ConfigurationError

_MOST_BYTES = 1 << 16
_MAKE_ONE = "make one with: openssl genpkey -algorithm ed25519 -out key.pem"


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """The key that reports are signed with.

    Raises:
        ConfigurationError: It cannot be read, or is no Ed25519 private key without a passphrase.
    """
    data = _read(path)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:  # how the library says that a passphrase is needed
        raise ConfigurationError(
            f"{path}: the key has a passphrase; give one without, that only you can read"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(f"{path}: not a private key in PEM; {_MAKE_ONE}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path}: not an Ed25519 key, but another kind; {_MAKE_ONE}")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """The key that a report must be signed by.

    Raises:
        ConfigurationError: It cannot be read, or is no Ed25519 public key.
    """
    data = _read(path)
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(
            f"{path}: not a public key in PEM; make it from the private one with: "
            "openssl pkey -in key.pem -pubout -out public.pem"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{path}: not an Ed25519 key, but another kind")
    return key


def public_key(raw: bytes) -> Ed25519PublicKey:
    """The key of these 32 bytes.

    Raises:
        ValueError: They are none.
    """
    return Ed25519PublicKey.from_public_bytes(raw)


def is_signed(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether this is the signature of ``data`` by whoever holds the key."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def raw_public_key(key: Ed25519PublicKey) -> bytes:
    """Its 32 bytes."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def fingerprint(key: Ed25519PublicKey) -> str:
    """The SHA-256 of the key in DER (SubjectPublicKeyInfo), in hex, as
    ``openssl pkey -pubin -in public.pem -outform DER | sha256sum`` prints it."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _read(path: Path) -> bytes:
    try:
        # Opening a FIFO would wait for whoever writes to it.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ConfigurationError(f"{path}: not a key file, but no regular file at all")
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"{path}: the key cannot be read: {words}") from None
    if len(data) > _MOST_BYTES:
        raise ConfigurationError(f"{path}: too large for a key")
    return data
