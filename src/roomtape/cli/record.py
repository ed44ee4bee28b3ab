"""``roomtape record``: join a room as a headless client and record it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlsplit, urlunsplit

import typer

from ..types import AudioRecordingConfiguration, Consent, ErrorCode, PauseMode
from ..types.errors import ConfigurationError, RoomError, RoomtapeError
from .choices import Position, Quality, bytes_of, seconds_of
from .termination import signals_that_end

if TYPE_CHECKING:
    from aiortc import RTCIceServer

    from ..media.local_audio import LocalAudio
    from ..rooms import Room

_LIVEKIT_SCHEMES = ("livekit", "livekits", "ws", "wss")
DEFAULT_NAME = "recorder"


def record(
    room: Annotated[
        str,
        typer.Argument(
            metavar="URL/ROOM",
            help="Such as http://127.0.0.1:8080/standup; of a LiveKit server, "
            "livekit://127.0.0.1:7880/standup or wss://HOST/standup.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The .wav or .aac file to write.")
    ],
    position: Annotated[Position, typer.Option(help="Whose audio.")] = Position.mixed,
    sample_rate: Annotated[int, typer.Option(metavar="HZ")] = 32000,
    quality: Annotated[Quality, typer.Option(help="Of an .aac file.")] = Quality.medium,
    channels: Annotated[
        int,
        typer.Option(
            metavar="N", help="1: all in one; 2: what --speak says left, everybody else right."
        ),
    ] = 1,
    cycle_time: Annotated[
        int, typer.Option(metavar="S", help="Keep only the last 10, 60, 360 or 900 s; 0: all.")
    ] = 0,
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="Stop after so long. [default: Ctrl-C]")
    ] = None,
    speak: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Publish this audio file.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the others see. [default: the token's, or recorder]")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="ROOMTAPE_TOKEN",
            help="Where the server asks for one. For LiveKit, LIVEKIT_API_KEY and "
            "LIVEKIT_API_SECRET do as well.",
        ),
    ] = None,
    ice_server: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URI",
            envvar="ROOMTAPE_ICE_SERVERS",
            help="A STUN or TURN server besides those that the room server names, such as "
            "turn:USER:PASSWORD@turn.example.org:3478; can be given several times.",
        ),
    ] = None,
    trust_clocks: Annotated[
        bool,
        typer.Option(
            "--trust-clocks",
            help="LiveKit: the clocks of all who speak agree (NTP; no browsers), so place by them "
            "what comes over slower networks than the rest.",
        ),
    ] = False,
    save_last: Annotated[
        float, typer.Option(metavar="S", help="The key s, and SIGUSR1, save so much before ...")
    ] = 30.0,
    save_then: Annotated[float, typer.Option(metavar="S", help="... and so much after it.")] = 0.0,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Never record this participant: silence stands in its place; can be given "
            "several times.",
        ),
    ] = None,
    consent: Annotated[
        bool,
        typer.Option(
            "--consent",
            help="Record a participant only once it agreed: the room asks, as the server's page "
            "does.",
        ),
    ] = False,
    beep: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Let everybody in the room hear a beep at the start and every S seconds.",
        ),
    ] = None,
    pause_mode: Annotated[
        PauseMode,
        typer.Option(
            help="What the key p leaves in the file: silence, a quiet tone, or nothing (the time "
            "is cut out)."
        ),
    ] = PauseMode.SILENCE,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Whom the key k masks (a tone stands in place of a card number), and no longer; "
            "can be given several times.",
        ),
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Whom the key f records no more, and removes from what a cyclic recording holds; "
            "can be given several times.",
        ),
    ] = None,
    level: Annotated[
        bool, typer.Option("--level", help="Bring quiet and loud speakers together.")
    ] = False,
    stems: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write one file of each participant as well, and projects to edit."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Record to numbered files (call-001.wav, ...), a new one each so long: 90s, 30m, "
            "1h. No sample is lost or doubled.",
        ),
    ] = None,
    split_bytes: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="... or before one would be larger: 100MB, 1GiB."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Write the report beside the file, as FILE.json.")
    ] = False,
    sign: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            help="Write the report, signed with this Ed25519 private key (PEM).",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each event.")
    ] = False,
) -> int:
    """Join a room and record it until Ctrl-C, SIGTERM, SIGHUP or --duration.

    However it ends, the file is finished. On the key s, and on SIGUSR1, the last seconds are saved
    to a file of their own beside it (call.saved-1.wav, ...), while the recording goes on. The
    key m marks a moment, in the report and in a WAV; p pauses (--pause-mode), and goes on;
    k puts a tone in place of what those of --mask say, and no longer; f forgets those of --forget.
    Of a cyclic recording, the key l, and SIGUSR2, make a live one that begins with what was kept;
    once more, and that file is finished, and the last seconds are kept again.
    """
    url, channel = parse_room(room)
    config = AudioRecordingConfiguration(
        output,
        sample_rate=sample_rate,
        quality=quality.value_of(),
        position=position.value_of(),
        cycle_time=cycle_time,
        report=report,
        sign=sign,
        channels=channels,
        stems=stems,
        level=level,
        exclude=exclude or [],
        beep_s=beep,
        consent=Consent.REQUIRED if consent else Consent.NOT_ASKED,
        split_s=None if split is None else seconds_of("--split", split),
        split_bytes=None if split_bytes is None else bytes_of("--split-bytes", split_bytes),
    )
    config.validate()
    if sign is not None:  # before anybody is met: the recording reads it itself
        from ..storage.proof import signatures  # noqa: PLC0415 (quick --help)

        with signatures():
            from ..storage.proof.keys import load_private_key  # noqa: PLC0415

        load_private_key(sign)
    if duration is not None and not 0 < duration < 1e9:
        raise ConfigurationError(f"--duration is {duration:g}; it must be more than 0 seconds")
    from ..recording.saving.request import MOST_THEN_S, seconds  # noqa: PLC0415 (quick --help)

    saving = (
        seconds("--save-last", save_last),
        seconds("--save-then", save_then, MOST_THEN_S),
    )
    if not config.path.parent.is_dir():
        raise RoomtapeError(f"cannot record to {config.path}: its directory does not exist")
    import asyncio  # noqa: PLC0415 (quick --help)

    from ..media.local_audio import FileAudio  # noqa: PLC0415

    local = FileAudio(speak) if speak is not None else None
    joined, own_name = _room_at(url, token, ice_server or [], trust_clocks=trust_clocks)
    name = own_name if name is None else name
    chosen = (pause_mode, mask or [], forget or [])
    return asyncio.run(
        _record(joined, channel, name, token, config, local, duration, saving, chosen, as_json)
    )


def _room_at(
    url: str, token: str | None, ice_servers: list[str], *, trust_clocks: bool
) -> tuple[Room, str]:
    """The room's client, and the name under which it is joined if none is given."""
    if not url.startswith(tuple(f"{scheme}:" for scheme in _LIVEKIT_SCHEMES)):
        from ..rooms import WebRtcRoom  # noqa: PLC0415 (quick --help)

        if trust_clocks:
            raise ConfigurationError("--trust-clocks is for LiveKit rooms")
        return WebRtcRoom(url, ice_servers=_ice_servers(ice_servers)), DEFAULT_NAME
    if ice_servers:
        raise ConfigurationError(
            "--ice-server is not for LiveKit: its server names those that are needed"
        )
    try:
        from ..rooms import LiveKitRoom  # noqa: PLC0415
        from ..rooms.livekit import identity_of  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise RoomtapeError(str(error)) from None
    own_name = identity_of(token) if token else None
    return LiveKitRoom(url, trust_clocks=trust_clocks), own_name or DEFAULT_NAME


def _ice_servers(uris: list[str]) -> list[RTCIceServer]:
    from aiortc import RTCIceServer  # noqa: PLC0415 (quick --help)

    from ..server.ice import parse_ice_servers  # noqa: PLC0415

    servers = parse_ice_servers(uris, turn_secret=False)
    return [RTCIceServer(each.url, each.username, each.credential) for each in servers]


def parse_room(text: str) -> tuple[str, str]:
    """``http://host:port/room`` (``livekit://``, ``wss://``, ...) as URL and room.

    Raises:
        ConfigurationError: It is not of that form.
    """
    parts = urlsplit(text)
    path, _, channel = parts.path.rpartition("/")
    schemes = ("http", "https", *_LIVEKIT_SCHEMES)
    odd = parts.scheme in _LIVEKIT_SCHEMES and (parts.query or parts.fragment)
    if parts.scheme not in schemes or not parts.netloc or not channel or odd:
        # What follows a question mark may be a token.
        raise ConfigurationError(
            f"{text.partition('?')[0]!r} names no room: give the server's URL, a slash and the "
            "room, and nothing else, such as http://127.0.0.1:8080/standup or "
            "livekit://127.0.0.1:7880/standup"
        )
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), unquote(channel)


async def _record(
    room: Room,
    channel: str,
    name: str,
    token: str | None,
    config: AudioRecordingConfiguration,
    local: LocalAudio | None,
    duration: float | None,
    saving: tuple[float, float],
    chosen: tuple[PauseMode, list[str], list[str]],
    as_json: bool,
) -> int:
    import asyncio  # noqa: PLC0415 (quick --help)

    from ..engine import RtcEngine  # noqa: PLC0415
    from .running.forgetting import Forgetter  # noqa: PLC0415
    from .running.keys import listening  # noqa: PLC0415
    from .running.marking import Marker  # noqa: PLC0415
    from .running.masking import Masker  # noqa: PLC0415
    from .running.pausing import Pauser  # noqa: PLC0415
    from .running.promoting import Promoter  # noqa: PLC0415
    from .running.saving import Saver  # noqa: PLC0415
    from .telling import make_teller  # noqa: PLC0415

    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in signals_that_end():
        loop.add_signal_handler(number, over.set)
    teller = make_teller(over, as_json=as_json, terminal=sys.stdout.isatty())
    async with RtcEngine(room) as engine:
        engine.set_event_callback(teller)
        saver = Saver(engine, config.path, *saving, teller)
        promoter = Promoter(engine, teller)
        loop.add_signal_handler(signal.SIGUSR1, saver.save)
        loop.add_signal_handler(signal.SIGUSR2, promoter.turn)
        await engine.set_local_audio(local)
        if await engine.join_channel(token, channel, name) is not ErrorCode.OK:
            raise RoomError(engine.last_error)
        if await engine.start_audio_recording_with_config(config) is not ErrorCode.OK:
            raise RoomtapeError(engine.last_error)
        marker = Marker(engine, teller)
        keys = {"s": saver.save, "m": marker.mark, "l": promoter.turn}
        pause_mode, masked, forgotten = chosen
        forgetter = Forgetter(engine, forgotten, teller)
        pauser, masker = Pauser(engine, pause_mode, teller), Masker(engine, masked, teller)
        keys |= {"p": pauser.pause, "k": masker.mask, "f": forgetter.forget}
        with listening(keys):
            await teller.until(over, duration, engine)
        if engine.recorder is not None:
            await engine.stop_audio_recording()
        await saver.wait()
        await promoter.wait()
        await forgetter.wait()
        report = engine.last_recording_report
    if report is None:
        raise RoomtapeError("the recording ended without a report")
    teller.finished(report)
    if report.error:
        raise RoomtapeError(f"the recording was broken off: {report.error}")
    if teller.disconnected:
        raise RoomtapeError(f"the room was lost: {teller.disconnected}; the file is complete")
    return 0
