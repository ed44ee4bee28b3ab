"""The embedded room server: signalling and the web page, over aiohttp."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from ..types.errors import ConfigurationError, RoomtapeError
from .addresses import is_loopback
from .door import ENTER_WITHIN_S, MAX_PER_ADDRESS, Door
from .ice import IceServers
from .seldom import Seldom
from .signalling import Signalling
from .token import MIN_SECRET_BYTES
from .whip.endpoint import WhipEndpoint
from .whip.publishing import WhipPublisher

logger = logging.getLogger(__name__)
_http_logger = logging.getLogger(f"{__name__}.http")
_http_logger.addFilter(Seldom())

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
SIGNALLING_PATH = "/ws"
_STATIC = Path(__file__).parent / "static"
_SHUTDOWN_S = 3.0

_HEADERS = {
    # The page needs nothing but its own files and its own server.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    # The address of the page can have a token in it.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class RoomServer:
    """Runs the server inside the current event loop.

    ::

        async with RoomServer("127.0.0.1", 0) as server:
            print(server.url)

    Args:
        host: Where to listen.
        port: 0 takes a free one; :attr:`url` has it after the start.
        secret: What tokens are signed with; None lets everybody in.
        insecure: Listen beyond this machine without a secret.
        ice_servers: STUN and TURN servers that clients are told of, as
            :func:`~.ice.parse_ice_server` takes them.
        turn_secret: What the TURN servers share with us, to let each client in for a while.
        max_per_address: Connections of one address; more if a proxy stands in front.
        whip: Gives who speaks WebRTC for callers that publish over HTTP (WHIP,
            :class:`~roomtape.rooms.webrtc.whip.WhipCalls`); called when the first one comes, on
            a thread. None takes no callers.

    Raises:
        ConfigurationError: The server would let anybody in from other machines, or a value is
            impossible.
    """

    def __init__(
        self,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        secret: str | None = None,
        insecure: bool = False,
        *,
        ice_servers: Sequence[str] = (),
        turn_secret: str | None = None,
        max_per_address: int = MAX_PER_ADDRESS,
        whip: Callable[[], WhipPublisher] | None = None,
    ) -> None:
        if secret is not None and not secret.strip():
            raise ConfigurationError("the secret is empty: give 32 random bytes or more, or none")
        if secret is None and not insecure and not is_loopback(host):
            raise ConfigurationError(
                f"listening on {host!r} would let anybody on the network into every room: give "
                "a secret, or say that it shall be insecure"
            )
        if not 0 <= port <= 65535:
            raise ConfigurationError(f"the port is {port}; it must be between 0 and 65535")
        if secret is not None and len(secret.encode()) < MIN_SECRET_BYTES:
            logger.warning(
                "the secret has fewer than %d bytes and can be guessed from a token: take "
                "`openssl rand -hex 32`",
                MIN_SECRET_BYTES,
            )
        self._host = host
        self._port = port
        self._secret = secret
        self._ice = IceServers(ice_servers, turn_secret)
        if max_per_address < 1:
            raise ConfigurationError(
                f"an address may have {max_per_address} connections: allow 1 at least"
            )
        self._max_per_address = max_per_address
        self._whip = whip
        self._endpoint: WhipEndpoint | None = None
        self._runner: web.AppRunner | None = None
        self._door: Door | None = None

    @property
    def url(self) -> str:
        """Where it listens, for clients on this machine; complete after :meth:`start`."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            RoomtapeError: The port is taken, or the address is not this machine's.
        """
        only_loopback = self._secret is None and is_loopback(self._host)
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            shutdown_timeout=_SHUTDOWN_S,
            keepalive_timeout=ENTER_WITHIN_S,
            logger=_http_logger,
        )
        await runner.setup()
        assert runner.server is not None
        door = Door(runner.server, most_per_address=self._max_per_address)
        try:
            self._port = await door.listen(self._host, self._port, only_loopback=only_loopback)
        except OSError as error:
            await runner.cleanup()
            raise RoomtapeError(_why_not(error, self._host, self._port)) from None
        self._runner = runner
        self._door = door

    async def stop(self) -> None:
        """Close every connection and the port. Does nothing if it does not run."""
        door, self._door = self._door, None
        if door is not None:
            await door.close()
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            await endpoint.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _application(self) -> web.Application:
        """The page at ``/``, signalling at ``/ws``."""
        signalling = Signalling(
            secret=self._secret,
            loopback=is_loopback(self._host),
            ice=self._ice,
            on_entered=self._entered,
        )

        async def close_websockets(_: web.Application) -> None:
            await signalling.close()

        app = web.Application()
        app.router.add_get(SIGNALLING_PATH, signalling.handle)
        app.router.add_get("/", _page)
        app.router.add_static("/static", _STATIC)
        if self._whip is not None:
            self._endpoint = WhipEndpoint(
                self._whip,
                url=lambda: self.url,
                secret=self._secret,
                same_site=signalling.is_same_site,
                ice=self._ice,
            )
            self._endpoint.add_to(app)
        app.on_response_prepare.append(self._answer)
        app.on_shutdown.append(close_websockets)
        return app

    async def _answer(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_HEADERS)
        if self._door is not None:
            self._door.requested(request.transport)

    def _entered(self, transport: asyncio.Transport | None) -> None:
        if self._door is not None:
            self._door.entered(transport)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()


async def _page(_: web.Request) -> web.FileResponse:
    return web.FileResponse(_STATIC / "index.html")


def _why_not(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {host} is taken: stop what listens there, or choose another"
        case errno.EACCES:
            return f"port {port} on {host} is not ours to take: choose one from 1024 up"
        case _:
            reason = error.strerror or error
            return f"cannot listen on {host} port {port}: {reason}: choose another address"
