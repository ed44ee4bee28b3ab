"""Tokens: who may join which room, signed by whoever knows the server's secret.

A token is a JWT (RFC 7519) signed with HS256. Its claims: ``room``, ``uid`` and ``exp``. Any
JWT library can make one.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
import warnings

import jwt

from ..types.errors import ConfigurationError, RoomRefusedError
from .names import normal

ALGORITHM = "HS256"
MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2; a shorter secret can be guessed from a single token."""
LEEWAY_S = 5
RESUME_FOR_S = 24 * 3600
"""Who was let in within the last day may come back after a restart of the server without another
token. Not for ever: a token that expires must come to an end."""


def make_token(secret: str, *, room: str, uid: str, ttl_s: float = 3600) -> str:
    """Allow ``uid`` to join ``room`` for the next ``ttl_s`` seconds.

    Who has joined stays, and may reconnect, after the token has expired.

    Raises:
        ConfigurationError: The secret is empty, or ``ttl_s`` is not positive.
    """
    if not secret:
        raise ConfigurationError("the secret is empty: give the one that the server was given")
    if not ttl_s > 0:
        raise ConfigurationError(f"a token cannot be valid for {ttl_s} s: give a positive time")
    claims = {"room": room, "uid": uid, "exp": int(time.time() + ttl_s)}
    with warnings.catch_warnings():
        # The server warns of a short secret, once and in words that help.
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        return jwt.encode(claims, secret, ALGORITHM)


def verify_token(secret: str, token: str | None, *, room: str, uid: str) -> None:
    """Check that ``token`` allows ``uid`` to join ``room``.

    Raises:
        RoomRefusedError: It does not; the message says why.
    """
    if not token:
        raise RoomRefusedError(
            "this server lets nobody in without a token: ask whoever runs it for one "
            "(`roomtape token`)"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
            claims = jwt.decode(
                token,
                secret,
                algorithms=[ALGORITHM],
                leeway=LEEWAY_S,
                options={"require": ["exp", "room", "uid"]},
            )
    except jwt.ExpiredSignatureError:
        raise RoomRefusedError("the token has expired: ask for a new one") from None
    except jwt.InvalidSignatureError:
        raise RoomRefusedError("the token was not signed with this server's secret") from None
    except jwt.MissingRequiredClaimError as error:
        raise RoomRefusedError(f"the token does not say {error.claim!r}") from None
    except jwt.InvalidTokenError:
        raise RoomRefusedError(f"the token is not a JWT signed with {ALGORITHM}") from None
    for claim, wanted in (("room", room), ("uid", uid)):
        # Whoever made the token may have written the name in another form than whoever joins.
        if not isinstance(claims[claim], str) or normal(claims[claim]) != normal(wanted):
            raise RoomRefusedError(f"the token is for {claim} {claims[claim]!r}, not {wanted!r}")


def claimed_uid(token: str) -> str | None:
    """Whom a token says that it is for; :func:`verify_token` says whether that is true."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    uid = claims.get("uid")
    return uid if isinstance(uid, str) else None


class ResumeKeys:
    """The keys with which participants come back to their seats.

    A key says that its bearer was let in once, as this uid, with this session; so nobody has to be
    judged twice. With a secret, keys outlive a restart of the server, and a token that has expired
    meanwhile does no harm.

    Args:
        secret: The server's; without one, keys are good for this run of it.
    """

    def __init__(self, secret: str | None) -> None:
        root = secrets.token_bytes(32) if secret is None else secret.encode()
        # A key of its own, so that no key can pass for a token or the other way around.
        self._key = hmac.digest(root, b"roomtape resume key", "sha256")

    def make(self, *, room: str, uid: str, session: str) -> str:
        """A key, of at most 64 characters."""
        return self._signed(f"{int(time.time()):x}", room, uid, session)

    def fits(self, key: str | None, *, room: str, uid: str, session: str) -> bool:
        """Whether ``key`` was made for these three, whenever that was."""
        if key is None:
            return False
        made = key.partition(".")[0]
        signed = self._signed(made, room, uid, session)
        return hmac.compare_digest(key.encode(), signed.encode())

    def is_fresh(self, key: str) -> bool:
        """Whether a key that fits can still take the place of a token."""
        return time.time() - int(key.partition(".")[0], 16) < RESUME_FOR_S

    def _signed(self, made: str, room: str, uid: str, session: str) -> str:
        said = json.dumps([made, room, uid, session]).encode()
        digest = hmac.digest(self._key, said, "sha256")
        return f"{made}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
