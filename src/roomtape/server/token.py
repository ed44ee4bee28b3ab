"""Tokens: who may join which room, signed by whoever knows the server's secret.

A token is a JWT (RFC 7519) signed with HS256. Its claims: ``room``, ``uid`` and ``exp``. Any
JWT library can make one.
"""

from __future__ import annotations

import time
import warnings

import jwt

from ..errors import ConfigurationError, RoomRefusedError

ALGORITHM = "HS256"
MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2; a shorter secret can be guessed from a single token."""
LEEWAY_S = 5


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
        if claims[claim] != wanted:
            raise RoomRefusedError(f"the token is for {claim} {claims[claim]!r}, not {wanted!r}")
