"""What a worker answers over HTTP: ``/metrics``, ``/healthz``, and the service's webhooks."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from ..types.errors import ConfigurationError, FleetError
from .leases import FoundRoom
from .metrics import Metrics
from .service import Webhooks

logger = logging.getLogger(__name__)

_MOST_BODY_BYTES = 256 << 10
Health = tuple[bool, dict[str, object]]


class Front:
    """Listens from :meth:`start` to :meth:`close`.

    Args:
        host, port: Where; port 0 takes a free one.
        webhooks: Reads webhooks.
        metrics: What ``/metrics`` shows.
        refresh: Called before it is shown.
        health: Whether all is well, and the details.
        told: Called with each room that a webhook tells of.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        webhooks: Webhooks,
        metrics: Metrics,
        refresh: Callable[[], None],
        health: Callable[[], Health],
        told: Callable[[FoundRoom], Awaitable[None]],
    ) -> None:
        self._host, self._port = host, port
        self._webhooks = webhooks
        self._metrics = metrics
        self._refresh = refresh
        self._health = health
        self._told = told
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Listen.

        Returns:
            The URL.

        Raises:
            ConfigurationError: It cannot be listened there.
        """
        app = web.Application(client_max_size=_MOST_BODY_BYTES)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/healthz", self._show_health)
        app.router.add_post("/webhook", self._take_webhook)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            await self.close()
            raise ConfigurationError(
                f"cannot listen at {self._host}:{self._port}: {error.strerror or error}; name "
                "another place with --listen"
            ) from None
        port = self._runner.addresses[0][1]
        return f"http://{self._host}:{port}"

    async def close(self) -> None:
        """Listen no more. Any number of times."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _show_metrics(self, request: web.Request) -> web.Response:
        del request
        self._refresh()
        return web.Response(
            body=self._metrics.text(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def _show_health(self, request: web.Request) -> web.Response:
        del request
        well, details = self._health()
        return web.json_response(details, status=200 if well else 503)

    async def _take_webhook(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            room = self._webhooks.read(body, request.headers.get("Authorization", ""))
        except FleetError as error:
            self._metrics.webhooks.labels("refused").inc()
            logger.debug("%s", error)
            return web.Response(status=401, text="not signed with the key of this service\n")
        self._metrics.webhooks.labels("taken" if room else "passed over").inc()
        if room is not None:
            await self._told(room)
        return web.Response(text="ok\n")
