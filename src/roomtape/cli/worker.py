"""``roomtape worker``: records every room of a LiveKit service, alone or as one of many."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fleet.logs import LogFormat
from ..types import Consent
from ..types.errors import ConfigurationError, RoomtapeError
from .choices import Quality

if TYPE_CHECKING:
    from ..fleet.options import Service, WorkerOptions

_MIB = 1 << 20
_MOST_KEYS_BYTES = 4096


def worker(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where recordings go: DIR/ROOM/TIME.aac.")
    ],
    rooms: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Which rooms, such as 'call-*'; can be given several times. [default: all]",
        ),
    ] = None,
    url: Annotated[
        str,
        typer.Option(envvar="LIVEKIT_URL", help="The service, such as ws://127.0.0.1:7880."),
    ] = "",
    keys_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Holds one line KEY: SECRET. [default: LIVEKIT_API_KEY, LIVEKIT_API_SECRET]",
        ),
    ] = None,
    redis: Annotated[
        str,
        typer.Option(
            envvar="ROOMTAPE_REDIS",
            metavar="URL",
            help="What the workers share, such as redis://HOST:6379; without it, this one is the "
            "only one. A password belongs into the variable.",
        ),
    ] = "",
    redis_prefix: Annotated[str, typer.Option(help="In front of every key there.")] = "roomtape",
    visible: Annotated[
        str, typer.Option(metavar="NAME", help="Be seen in the rooms under this name.")
    ] = "",
    name: Annotated[
        str, typer.Option(help="This worker, in logs and reports. [default: the host's, and more]")
    ] = "",
    processes: Annotated[
        int, typer.Option(metavar="N", help="Recorder processes. [default: one a core]")
    ] = 0,
    max_rooms: Annotated[
        int, typer.Option(metavar="N", help="Rooms at a time. [default: 12 a process]")
    ] = 0,
    sample_rate: Annotated[int, typer.Option(metavar="HZ")] = 32000,
    quality: Annotated[Quality, typer.Option(help="Of the files.")] = Quality.medium,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Never record this participant, in any room: silence stands in its place; can be "
            "given several times.",
        ),
    ] = None,
    consent: Annotated[
        bool,
        typer.Option(
            "--consent",
            help="Record a participant only once it agreed. Who is to be asked must see the "
            "recorder (--visible).",
        ),
    ] = False,
    beep: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Let everybody in a room hear a beep at the start and every S seconds; with "
            "--visible.",
        ),
    ] = None,
    keep_days: Annotated[
        float, typer.Option(metavar="DAYS", help="Remove what is older; 0 keeps all.")
    ] = 0.0,
    disk_floor: Annotated[
        int, typer.Option(metavar="MIB", help="With less free, take no further room.")
    ] = 1024,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="For /metrics, /healthz and /webhook.")
    ] = "127.0.0.1:9464",
    drain: Annotated[
        float,
        typer.Option(
            metavar="S", help="Told to end, wait so long at most for others to go on with a room."
        ),
    ] = 20.0,
    alone: Annotated[
        float, typer.Option(metavar="S", help="Leave a room in which nobody is for so long.")
    ] = 30.0,
    lease: Annotated[
        float,
        typer.Option(
            metavar="S", help="After so long, a room of a killed worker is free; the same for all."
        ),
    ] = 10.0,
    list_every: Annotated[
        float, typer.Option(metavar="S", help="List the service's rooms so often.")
    ] = 2.0,
    log: Annotated[LogFormat, typer.Option(help="How to log, to standard error.")] = LogFormat.text,
) -> int:
    """Record every room of a LiveKit service until SIGTERM or Ctrl-C.

    Then rooms are handed over to other workers, or their files finished; a second signal does not
    wait for others. Any number of workers share the work through Redis; a room of one that dies
    goes on in another.
    """
    _check_extra()
    import asyncio  # noqa: PLC0415 (quick --help)

    from ..fleet.options import WorkerOptions  # noqa: PLC0415
    from ..fleet.redis_leases import has_password  # noqa: PLC0415
    from ..types.clock import usable_cores  # noqa: PLC0415

    if has_password(redis) and redis != os.environ.get("ROOMTAPE_REDIS"):
        raise ConfigurationError(
            "--redis has a password in it, which everybody on this machine can read: give the URL "
            "in ROOMTAPE_REDIS instead"
        )
    options = WorkerOptions(
        directory=Path(os.path.abspath(directory)),  # noqa: PTH100 (resolve() follows links)
        service=_service(url, keys_file),
        rooms=tuple(rooms or ["*"]),
        visible=visible,
        redis=redis,
        redis_prefix=redis_prefix,
        name=name or _own_name(),
        processes=processes or usable_cores(),
        max_rooms=max_rooms,
        sample_rate=sample_rate,
        quality=quality.value_of(),
        exclude=tuple(exclude or []),
        consent=Consent.REQUIRED if consent else Consent.NOT_ASKED,
        beep_s=beep,
        keep_days=keep_days,
        disk_floor_bytes=disk_floor * _MIB,
        lease_s=lease,
        list_s=list_every,
        drain_s=drain,
        alone_s=alone,
    )
    host, port = _place(listen)
    if not asyncio.run(_work(options, host, port, log)):
        raise RoomtapeError("the worker ended, because its recorder processes died too often")
    return 0


async def _work(options: WorkerOptions, host: str, port: int, log: LogFormat) -> bool:
    import asyncio  # noqa: PLC0415 (quick --help)

    from ..fleet.front import Front  # noqa: PLC0415
    from ..fleet.leases import Leases, Load, LocalLeases  # noqa: PLC0415
    from ..fleet.logs import log_to_stderr  # noqa: PLC0415
    from ..fleet.metrics import Metrics  # noqa: PLC0415
    from ..fleet.redis_leases import RedisLeases  # noqa: PLC0415
    from ..fleet.service import LiveKitService, Webhooks, check_service  # noqa: PLC0415
    from ..fleet.worker import Worker  # noqa: PLC0415

    debug = os.environ.get("ROOMTAPE_DEBUG", "") not in ("", "0")
    log_to_stderr(log, worker=options.name, secrets=[options.service.secret], debug=debug)
    try:
        options.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RoomtapeError(f"cannot record to {options.directory}: {error.strerror}") from None
    leases: Leases = LocalLeases()
    if options.redis:
        leases = RedisLeases(
            options.redis,
            worker=options.name,
            lease_s=options.lease_s,
            prefix=options.redis_prefix,
        )
    service, metrics = LiveKitService(options.service), Metrics()
    try:
        # What is wrong from the start is told at the start.
        await check_service(service)
        await leases.tell_load(Load(0, 0))
        worker = Worker(options, leases, service, metrics, log=log.value, debug=debug)
        front = Front(
            host,
            port,
            webhooks=Webhooks(options.service),
            metrics=metrics,
            refresh=worker.refresh_metrics,
            health=worker.health,
            told=worker.told,
        )
        where = await front.start()
    except BaseException:
        await leases.close()
        await service.close()
        raise
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, worker.drain)
    try:
        # Flushed, because programs that start a worker wait for this line.
        print(f"worker {options.name} records to {options.directory}; {where}", flush=True)
        return await worker.run()
    finally:
        await front.close()


def _check_extra() -> None:
    missing = [
        package
        for module, package in (
            ("redis", "redis"),
            ("prometheus_client", "prometheus-client"),
            ("livekit.api", "livekit-api"),
        )
        if not _is_there(module)
    ]
    if missing:
        raise RoomtapeError(
            f"{', '.join(missing)} is missing: install what a worker needs with "
            "pip install 'roomtape[worker]'"
        )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _service(url: str, keys_file: Path | None) -> Service:
    from ..fleet.options import Service  # noqa: PLC0415 (quick --help)

    if keys_file is None:
        key, secret = (os.environ.get(f"LIVEKIT_API_{each}", "") for each in ("KEY", "SECRET"))
        return Service(url, key, secret)
    try:
        with keys_file.open(encoding="utf-8") as file:
            text = file.read(_MOST_KEYS_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(f"{keys_file} cannot be read: {words}") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = re.fullmatch(r"\s*([^\s:]+)\s*:\s*(\S+)\s*", lines[0]) if len(lines) == 1 else None
    if found is None:
        raise ConfigurationError(f"{keys_file} must hold one line, KEY: SECRET")
    return Service(url, found[1], found[2])


def _own_name() -> str:
    """Nobody else's, not even that of this worker when it ran before."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:40] or "worker"
    return f"{host}-{secrets.token_hex(3)}"


def _place(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(
            f"--listen is {listen!r}; it takes HOST:PORT, such as 127.0.0.1:9464"
        )
    return host.strip("[]"), int(port)
