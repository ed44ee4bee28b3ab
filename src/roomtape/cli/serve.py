"""``roomtape serve``: the embedded room server."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from ..types.errors import ConfigurationError

if TYPE_CHECKING:
    from ..rooms.webrtc.whip import WhipCalls
    from ..server.app import RoomServer


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
    ice_server: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URI",
            envvar="ROOMTAPE_ICE_SERVERS",
            help="A STUN or TURN server that participants are told of, such as "
            "stun:stun.example.org:3478; can be given several times.",
        ),
    ] = None,
    turn_secret: Annotated[
        str | None,
        typer.Option(
            envvar="ROOMTAPE_TURN_SECRET",
            help="What the TURN servers share with this one, to let each participant in for a day.",
        ),
    ] = None,
    max_per_address: Annotated[
        int,
        typer.Option(
            metavar="N", help="Connections of one address; more if a proxy stands in front."
        ),
    ] = 256,
    whip: Annotated[
        bool,
        typer.Option(help="Let OBS, GStreamer and others publish over HTTP: POST /whip/ROOM."),
    ] = True,
) -> None:
    """Run a room server until Ctrl-C or SIGTERM.

    It has the signalling, and a web page with which a browser joins a room.
    """
    import asyncio  # noqa: PLC0415 (quick --help)

    from ..server.app import RoomServer  # noqa: PLC0415

    # A variable that is empty counts as none, and would open a server that was meant to be closed.
    for value, variable in (
        (secret, "ROOMTAPE_SECRET"),
        (turn_secret, "ROOMTAPE_TURN_SECRET"),
    ):
        if value is None and variable in os.environ:
            raise ConfigurationError(f"{variable} is empty: give it a secret, or unset it")
    server = RoomServer(
        host,
        port,
        secret=secret,
        insecure=insecure,
        ice_servers=ice_server or (),
        turn_secret=turn_secret,
        max_per_address=max_per_address,
        whip=_whip_calls if whip else None,
    )
    asyncio.run(_serve(server))


def _whip_calls() -> WhipCalls:
    from ..rooms.webrtc.whip import WhipCalls  # noqa: PLC0415 (only callers need it)

    return WhipCalls()


async def _serve(server: RoomServer) -> None:
    import asyncio  # noqa: PLC0415 (quick --help)

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with server:
        # Flushed, because programs that start a server wait for this line.
        print(f"serving rooms on {server.url}", flush=True)
        await stop.wait()
