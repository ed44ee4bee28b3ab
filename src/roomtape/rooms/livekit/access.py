"""Where a LiveKit server is, and what lets us in: a token, or a key to make tokens with.

Nothing of it but the address is ever shown: neither tokens nor secrets are in any message or
``repr``.
"""

from __future__ import annotations

import datetime
import os
import time
import warnings
from typing import Any

import jwt
from livekit import api
from yarl import URL

from ...types.errors import ConfigurationError, RoomRefusedError

URL_VARIABLE = "LIVEKIT_URL"
KEY_VARIABLE = "LIVEKIT_API_KEY"
SECRET_VARIABLE = "LIVEKIT_API_SECRET"
TOKEN_TTL = datetime.timedelta(minutes=10)
"""Of tokens made here: they serve to join at once, and each joining makes one anew."""
_SCHEMES = {
    "ws": "ws",
    "wss": "wss",
    "http": "ws",
    "https": "wss",
    "livekit": "ws",
    "livekits": "wss",
}
_DEFAULT_PORTS = {"ws": 80, "wss": 443}


class Access:
    """The way into the rooms of one server.

    Args:
        url: As ``ws://127.0.0.1:7880`` or ``wss://rooms.example.org``; ``livekit://`` is ``ws://``,
            ``livekits://`` is ``wss://``. Default: ``LIVEKIT_URL``.
        token: Lets one participant into one room. Without one, tokens are made with the key.
        api_key, api_secret: Of the server. Default: ``LIVEKIT_API_KEY``, ``LIVEKIT_API_SECRET``.
        hidden: Tokens made here let in somebody whom the others do not see, and who is known to
            record.

    Raises:
        ConfigurationError: There is no URL, or it is none of a server.
    """

    def __init__(
        self,
        url: str | None,
        *,
        token: str | None,
        api_key: str | None,
        api_secret: str | None,
        hidden: bool,
    ) -> None:
        self.url = _checked_url(url or os.environ.get(URL_VARIABLE, ""))
        self._token = token
        self._key = api_key or os.environ.get(KEY_VARIABLE, "")
        self._secret = api_secret or os.environ.get(SECRET_VARIABLE, "")
        self.hidden = hidden
        """Whether it is not seen, and publishes nothing."""

    @property
    def place(self) -> str:
        """The server, for messages."""
        return str(self.url)

    @property
    def host(self) -> str:
        return self.url.host or ""

    @property
    def makes_tokens(self) -> bool:
        """Whether there is no token, but a key to make one with."""
        return not self._token and bool(self._key and self._secret)

    def token_for(self, token: str | None, *, room: str, identity: str) -> str:
        """A token that lets ``identity`` into ``room``: the given one, the one of the constructor,
        or one that is made now.

        Raises:
            RoomRefusedError: The token is for another room or participant, has expired, or is none.
            ConfigurationError: There is neither a token nor a key.
        """
        token = token or self._token
        if token:
            _check_token(token, room=room, identity=identity)
            return token
        if not self._key or not self._secret:
            raise ConfigurationError(
                f"{self.place} asks for a token: give one, or set {KEY_VARIABLE} and "
                f"{SECRET_VARIABLE}"
            )
        grants = api.VideoGrants(
            room_join=True,
            room=room,
            can_publish=not self.hidden,
            can_publish_data=False,
            can_subscribe=True,
            can_update_own_metadata=True,
            hidden=self.hidden,
            recorder=self.hidden,
        )
        made = api.AccessToken(self._key, self._secret).with_identity(identity).with_ttl(TOKEN_TTL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a short secret; the server says what it thinks
            return str(made.with_grants(grants).to_jwt())

    def __repr__(self) -> str:
        return f"Access({self.place!r})"


def identity_of(token: str) -> str | None:
    """Whom a token lets in; None if it does not say, or is none."""
    identity = _claims(token).get("sub")
    return identity if isinstance(identity, str) and identity else None


def _checked_url(text: str) -> URL:
    if not text:
        raise ConfigurationError(
            f"no LiveKit server is named: give its URL, such as ws://127.0.0.1:7880, or set "
            f"{URL_VARIABLE}"
        )
    try:
        url = URL(text)
        scheme = _SCHEMES.get(url.scheme)
        if scheme and url.host and url.port != 0 and not url.query_string and url.user is None:
            port = url.port or _DEFAULT_PORTS[scheme]
            return URL.build(scheme=scheme, host=url.host, port=port, path=url.path.rstrip("/"))
    except ValueError:
        pass
    # A URL that is not one may hold a token, so it is not shown.
    raise ConfigurationError(
        "this is not the address of a LiveKit server: it looks like ws://127.0.0.1:7880 or "
        "wss://rooms.example.org, without anything behind it"
    )


def _check_token(token: str, *, room: str, identity: str) -> None:
    """What can be known of it before the server is asked, said better than a server does."""
    claims = _claims(token)
    if not claims:
        raise RoomRefusedError("the token is not one of LiveKit: it must be a JWT (a.b.c)")
    expires = claims.get("exp")
    if isinstance(expires, int | float) and expires < time.time():
        raise RoomRefusedError("the token has expired: get a new one")
    grants = claims.get("video")
    grants = grants if isinstance(grants, dict) else {}
    if not grants.get("roomJoin"):
        raise RoomRefusedError("the token does not allow to join a room: it lacks roomJoin")
    if grants.get("canSubscribe") is False:
        raise RoomRefusedError(
            "the token does not allow to hear anybody: it needs canSubscribe to record"
        )
    if grants.get("room") != room:
        raise RoomRefusedError(f"the token is for room {_short(grants.get('room'))}, not {room!r}")
    if claims.get("sub") != identity:
        raise RoomRefusedError(f"the token is for {_short(claims.get('sub'))}, not {identity!r}")


def _claims(token: str) -> dict[str, Any]:
    """What a token says, without a look at its signature, which is the server's business."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _short(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 80 else f"{text[:77]}..."
