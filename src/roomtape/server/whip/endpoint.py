"""The WHIP endpoint (RFC 9725): ``POST /whip/ROOM`` with an offer lets OBS, GStreamer or ffmpeg
speak in a room, as one participant more. It minds HTTP, and who may; somebody else speaks WebRTC
(:mod:`.publishing`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hmac import compare_digest

from aiohttp import web

from ...types.errors import OfferError, RoomError, RoomRefusedError
from ..addresses import household, is_loopback
from ..budget import Budget
from ..ice import IceServers
from ..protocol import Join, ProtocolError, parse
from ..seldom import Seldom
from ..token import claimed_uid, verify_token
from .publishing import Caller, Publishing, WhipPublisher

logger = logging.getLogger(__name__)
logger.addFilter(Seldom())

MAX_OFFER_BYTES = 64 * 1024
MAX_PATCH_BYTES = 16 * 1024
MAX_CALLERS = 16
"""Each is decoded, encoded and sent to a whole room by this process."""
MAX_CALLERS_OF_ADDRESS = 8
OFFERS_PER_S, OFFERS_BURST = 0.5, 8.0
PATCHES_PER_S, PATCHES_BURST = 2.0, 16.0
MAX_ADDRESSES = 1024
ENDPOINT_PATH = "/whip/{room}"
SESSION_PATH = "/whip-session/{key}"
_OFFER, _FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
_EXPOSED = "Location, Link, ETag, Accept-Patch"

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass
class _Session:
    """One caller, from its answer to its end."""

    publishing: Publishing
    token: str | None
    etag: str
    patches: Budget = field(
        default_factory=lambda: Budget(per_s=PATCHES_PER_S, burst=PATCHES_BURST)
    )


class _RefusedError(Exception):
    """What a caller is told instead."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class WhipEndpoint:
    """Serves callers.

    Args:
        make_publisher: Gives who speaks WebRTC; called on a thread when the first caller comes.
        url: This server, once it listens.
        secret: What tokens are signed with; None lets everybody in who is of this site.
        same_site: Whether a request comes from no other site's page; asked where there is no
            secret.
        ice: What callers are told to use, and used for them.
    """

    def __init__(
        self,
        make_publisher: Callable[[], WhipPublisher],
        *,
        url: Callable[[], str],
        secret: str | None,
        same_site: Callable[[web.Request], bool],
        ice: IceServers,
    ) -> None:
        self._make_publisher = make_publisher
        self._url = url
        self._secret = secret
        self._same_site = same_site
        self._ice = ice
        self._publisher: WhipPublisher | None = None
        self._making = asyncio.Lock()
        self._sessions: dict[str, _Session] = {}
        self._callers = Counter[str]()
        self._offers: dict[str, Budget] = {}

    def add_to(self, app: web.Application) -> None:
        """Answer at :data:`ENDPOINT_PATH` and :data:`SESSION_PATH`."""
        router = app.router
        router.add_post(ENDPOINT_PATH, self._guarded(self._post))
        router.add_options(ENDPOINT_PATH, self._guarded(self._options))
        router.add_delete(SESSION_PATH, self._guarded(self._delete))
        router.add_patch(SESSION_PATH, self._guarded(self._patch))
        router.add_options(SESSION_PATH, self._guarded(self._options))

    async def close(self) -> None:
        """Hang up on everybody."""
        for session in tuple(self._sessions.values()):
            await session.publishing.close()

    def _guarded(self, handler: Handler) -> Handler:
        """What goes wrong is one line with a status; pages of other sites read nothing here unless
        a token decides who may."""

        async def handle(request: web.Request) -> web.Response:
            try:
                if self._secret is None and not self._same_site(request):
                    raise _RefusedError(403, "pages of other sites may not publish here")
                response = await handler(request)
            except _RefusedError as error:
                response = web.Response(
                    status=error.status, text=f"{error}\n", headers=error.headers
                )
            origin = request.headers.get("Origin")
            if origin is not None and response.status != 403:
                response.headers["Access-Control-Allow-Origin"] = "*" if self._secret else origin
                response.headers["Access-Control-Expose-Headers"] = _EXPOSED
            return response

        return handle

    async def _options(self, request: web.Request) -> web.Response:
        methods = "POST" if "room" in request.match_info else "DELETE, PATCH"
        return web.Response(
            status=204,
            headers={
                "Accept-Post": _OFFER,
                "Access-Control-Allow-Methods": f"{methods}, OPTIONS",
                "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
                "Access-Control-Max-Age": "600",
            },
        )

    async def _post(self, request: web.Request) -> web.Response:
        join, token = self._admitted(request)
        whose = household(request.remote or "")
        self._bound(whose)
        offer = await _body(request, _OFFER, MAX_OFFER_BYTES)
        key = secrets.token_urlsafe(16)
        ended = False

        def over() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._sessions.pop(key, None)
                self._callers -= Counter({whose: 1})

        ice_servers = self._ice.for_client(join.uid)
        caller = Caller(
            self._url(),
            *(join.room, join.uid, token, offer, ice_servers),
            loopback=is_loopback(request.remote or ""),
        )
        self._callers[whose] += 1
        try:
            publishing = await (await self._speaker()).publish(caller, over)
        except OfferError as error:
            over()
            raise _RefusedError(400, str(error)) from None
        except RoomError as error:
            over()
            raise _RefusedError(409, str(error)) from None
        except BaseException:
            over()
            raise
        session = _Session(publishing, token, f'"{secrets.token_urlsafe(6)}"')
        if not publishing.over:
            self._sessions[key] = session
        response = web.Response(
            status=201,
            text=publishing.answer,
            content_type=_OFFER,
            headers={
                "Location": f"/whip-session/{key}",
                "ETag": session.etag,
                "Accept-Patch": _FRAGMENT,
            },
        )
        for link in _links(ice_servers):
            response.headers.add("Link", link)
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        await self._session(request).publishing.close()
        return web.Response()

    async def _patch(self, request: web.Request) -> web.Response:
        session = self._session(request)
        if session.patches.spend(1):
            raise _RefusedError(429, "candidates come too fast: send several at once")
        fragment = await _body(request, _FRAGMENT, MAX_PATCH_BYTES)
        match = request.headers.get("If-Match")
        if match == "*":
            raise _RefusedError(422, "ICE restarts are not taken: hang up, and call again")
        if match is not None and match != session.etag:
            raise _RefusedError(412, "If-Match names another ICE session")
        for line in fragment.splitlines():
            if line.startswith("a=candidate:"):
                await session.publishing.add_candidate(line.removeprefix("a="))
            elif line == "a=end-of-candidates":
                await session.publishing.add_candidate("")
        return web.Response(status=204)

    # -- who may, and how much ------------------------------------------------------------------

    def _admitted(self, request: web.Request) -> tuple[Join, str | None]:
        """Whom the request lets into which room, and its token."""
        token = _bearer(request)
        if self._secret is not None and token is None:
            raise _unauthorized("a token is needed: Authorization: Bearer TOKEN (`roomtape token`)")
        uid = request.query.get("name") or (claimed_uid(token) if token else None) or "whip"
        asked = {"room": request.match_info["room"], "uid": uid, "session": "whip"}
        try:
            join = parse(json.dumps({"type": "join", **asked}))
            assert isinstance(join, Join)
            if self._secret is not None:
                verify_token(self._secret, token, room=join.room, uid=join.uid)
        except ProtocolError as error:
            raise _RefusedError(400, str(error).replace('"uid"', "the name")) from None
        except RoomRefusedError as error:
            raise _unauthorized(str(error)) from None
        return join, token

    def _bound(self, whose: str) -> None:
        if self._callers.total() >= MAX_CALLERS:
            raise _RefusedError(503, f"{MAX_CALLERS} callers publish already", Retry_After="30")
        if self._callers[whose] >= MAX_CALLERS_OF_ADDRESS:
            told = f"{MAX_CALLERS_OF_ADDRESS} callers of your address publish already"
            raise _RefusedError(429, told, Retry_After="30")
        if whose not in self._offers and len(self._offers) >= MAX_ADDRESSES:
            self._offers.clear()
        offers = self._offers.setdefault(whose, Budget(per_s=OFFERS_PER_S, burst=OFFERS_BURST))
        if not offers.affords(1):
            raise _RefusedError(429, "offers come too fast: try again in 2 s", Retry_After="2")
        offers.spend(1)

    def _session(self, request: web.Request) -> _Session:
        session = self._sessions.get(request.match_info["key"])
        if session is None:
            raise _RefusedError(404, "there is no such session: it has ended")
        given = (_bearer(request) or "").encode()
        if self._secret is not None and not compare_digest(given, (session.token or "").encode()):
            raise _unauthorized("the token is not the one of this session")
        return session

    async def _speaker(self) -> WhipPublisher:
        async with self._making:
            if self._publisher is None:  # its modules take a while to load
                self._publisher = await asyncio.to_thread(self._make_publisher)
        return self._publisher


def _unauthorized(text: str) -> _RefusedError:
    return _RefusedError(401, text, WWW_Authenticate="Bearer")


def _bearer(request: web.Request) -> str | None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    return token if kind.lower() == "bearer" and token.isascii() and token else None


async def _body(request: web.Request, kind: str, most: int) -> str:
    if request.content_type != kind:
        raise _RefusedError(415, f"the body is {request.content_type}; it must be {kind}")
    data = bytearray()
    async for chunk in request.content.iter_chunked(1 << 14):
        data += chunk
        if len(data) > most:
            raise _RefusedError(413, f"the body has more than {most} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _RefusedError(400, "the body is not UTF-8") from None


def _links(ice_servers: list[dict[str, object]]) -> list[str]:
    """ICE servers as HTTP has them (RFC 9725, section 4.6)."""
    links = []
    for server in ice_servers:
        user = (
            f'; username="{server["username"]}"; credential="{server["credential"]}"; '
            'credential-type="password"'
            if "username" in server
            else ""
        )
        urls = server["urls"]
        for url in urls if isinstance(urls, list) else [urls]:
            links.append(f'<{url}>; rel="ice-server"{user}')
    return links
