"""``roomtape token``: who may join which room."""

from __future__ import annotations

from typing import Annotated

import typer


def token(
    secret: Annotated[
        str, typer.Option(envvar="ROOMTAPE_SECRET", help="What the server was started with.")
    ],
    room: Annotated[str, typer.Option(help="The room that may be joined.")],
    uid: Annotated[str, typer.Option(help="The name under which it may be joined.")],
    ttl: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long the token can be used to join.")
    ] = 3600.0,
) -> None:
    """Print a token to join a room with.

    It is for one participant and one room of a server that was started with a secret.
    """
    from ..server.token import make_token  # noqa: PLC0415 (quick --help)

    typer.echo(make_token(secret, room=room, uid=uid, ttl_s=ttl))
