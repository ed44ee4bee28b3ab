"""The LiveKit service: its rooms, its tokens, its webhooks. What livekit-api does stops here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
from google.protobuf.message import DecodeError
from livekit import api
from livekit.protocol.webhook import WebhookEvent

from ..types.errors import FleetError
from .leases import FoundRoom
from .options import Service

_ANSWER_S = 10.0
_TOKEN_LIFE = timedelta(days=7)
"""A token lets in, and in again when the connection was lost; it never leaves the recorder."""
_MOST_NAME = 1024
_SILENCE = (aiohttp.ClientError, OSError, TimeoutError, ValueError, DecodeError)
"""What asking raises where no service is, or something else answers."""
_STARTS = ("room_started", "participant_joined")


@dataclass(frozen=True, slots=True)
class ListedRoom:
    """A room as the service lists it.

    Attributes:
        found: The room.
        participants: Who is in it; agents and recorders do not count.
    """

    found: FoundRoom
    participants: int


class LiveKitService:
    """Its server API.

    Call :meth:`close` when done; any number of times. Needs a running event loop.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._api: api.LiveKitAPI | None = None

    async def rooms(self) -> list[ListedRoom]:
        """All rooms there are.

        Raises:
            FleetError: The service does not answer, or refuses.
        """
        try:
            listed = await self._opened().room.list_rooms(api.ListRoomsRequest())
        except api.ServerError as error:
            raise FleetError(self._refusal(error)) from None
        except _SILENCE as error:
            raise FleetError(self._silence(error)) from None
        return [
            ListedRoom(FoundRoom(room.name, room.sid), room.num_participants)
            for room in listed.rooms
            if len(room.name) <= _MOST_NAME
        ]

    async def remove(self, room: str, identity: str) -> bool:
        """Put a participant out of a room.

        Returns:
            Whether it was there.

        Raises:
            FleetError: The service does not answer, or refuses.
        """
        request = api.RoomParticipantIdentity(room=room, identity=identity)
        try:
            await self._opened().room.remove_participant(request)
        except api.ServerError as error:
            if error.code == "not_found":
                return False
            raise FleetError(self._refusal(error)) from None
        except _SILENCE as error:
            raise FleetError(self._silence(error)) from None
        return True

    async def close(self) -> None:
        opened, self._api = self._api, None
        if opened is not None:
            await opened.aclose()

    def _opened(self) -> api.LiveKitAPI:
        if self._api is None:
            # Who asks again every few seconds needs no retries inside.
            self._api = api.LiveKitAPI(
                self._service.url,
                self._service.key,
                self._service.secret,
                timeout=aiohttp.ClientTimeout(total=_ANSWER_S),
                failover=False,
            )
        return self._api

    def _refusal(self, error: api.ServerError) -> str:
        if error.status in (401, 403):
            return (
                f"{self._service.url} refuses the key: check LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
            )
        return f"{self._service.url} refuses: {error.code} (HTTP {error.status})"

    def _silence(self, error: Exception) -> str:
        # The library's texts may hold what was sent.
        what = "it took too long" if isinstance(error, TimeoutError) else type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            what = error.strerror
        return f"no LiveKit service answers at {self._service.url}: {what}"


def recorder_token(
    service: Service, room: str, identity: str, visible: str, *, beeps: bool = False
) -> str:
    """What lets a recorder into one room: it hears everybody, says nothing (but for a beep), and
    the room shows that it is recorded.

    Args:
        service: Whose room.
        room: Its name.
        identity: The recorder's.
        visible: The name that the others see; empty: they see nobody.
        beeps: Whether it lets them hear a beep.
    """
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        can_subscribe=True,
        can_publish=beeps,
        can_publish_sources=["microphone"] if beeps else [],
        can_publish_data=False,
        can_update_own_metadata=True,  # in which it says that it records
        hidden=not visible,
        recorder=True,
    )
    token = api.AccessToken(service.key, service.secret).with_identity(identity)
    return token.with_name(visible).with_grants(grants).with_ttl(_TOKEN_LIFE).to_jwt()


class Webhooks:
    """Reads what the service says by itself."""

    def __init__(self, service: Service) -> None:
        self._receiver = api.WebhookReceiver(api.TokenVerifier(service.key, service.secret))

    def read(self, body: bytes, signature: str) -> FoundRoom | None:
        """The room that somebody has come into; None for all else.

        Raises:
            FleetError: It is not signed with the service's key, or no webhook.
        """
        try:
            event: WebhookEvent = self._receiver.receive(body.decode(), signature)
        except Exception as error:  # of the library, of JWT, of protobuf: none is fine
            raise FleetError(f"a webhook was refused: {type(error).__name__}") from None
        room = event.room
        if event.event not in _STARTS or not room.name or len(room.name) > _MOST_NAME:
            return None
        return FoundRoom(room.name, room.sid)


async def check_service(service: LiveKitService) -> None:
    """Ask once, so that a wrong key or URL is told at the start.

    Raises:
        FleetError: As for :meth:`LiveKitService.rooms`.
    """
    async with asyncio.timeout(_ANSWER_S * 2):
        await service.rooms()
