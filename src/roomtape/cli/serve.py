"""``roomtape serve``: the embedded room server."""

from __future__ import annotations

import signal
from typing import Annotated

import typer


def serve(
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine only with a secret.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8080,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="ROOMTAPE_SECRET",
            help="Let in only who has a token signed with it (roomtape token).",
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let anybody in, from other machines as well.")
    ] = False,
) -> None:
    """Run a room server until Ctrl-C or SIGTERM.

    It has the signalling, and a web page with which a browser joins a room.
    """
    import asyncio  # noqa: PLC0415 (quick --help)

    asyncio.run(_serve(host, port, secret, insecure))


async def _serve(host: str, port: int, secret: str | None, insecure: bool) -> None:
    import asyncio  # noqa: PLC0415 (quick --help)

    from ..server.app import RoomServer  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with RoomServer(host, port, secret=secret, insecure=insecure) as server:
        # Flushed, because programs that start a server wait for this line.
        print(f"serving rooms on {server.url}", flush=True)
        await stop.wait()
