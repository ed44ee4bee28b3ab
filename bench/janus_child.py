"""Participants of Janus's AudioBridge, for :mod:`room`: ``janus_child.py URL COUNT RECORDING``.

Makes a room that Janus records to the WAV file RECORDING, joins it so many times, and says
``joined``. Each sends speech and is sent the mix of the others, as it is there for.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import Any

import aiohttp
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole

from webrtc_child import Speech

_ROOM = 1234
Message = dict[str, Any]


class Participant:
    """One session with a handle of the plugin."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def begin(self) -> None:
        self._url += f"/{(await self._post({'janus': 'create'}))['data']['id']}"
        self._session_url = self._url
        attach = {"janus": "attach", "plugin": "janus.plugin.audiobridge"}
        self._url += f"/{(await self._post(attach))['data']['id']}"

    async def create(self, recording: str) -> None:
        body = {"request": "create", "room": _ROOM, "sampling_rate": 48000}
        body |= {"record": True, "record_file": recording}
        await self._post({"janus": "message", "body": body})

    async def join(self, number: int) -> RTCPeerConnection:
        peer = RTCPeerConnection()
        peer.addTrack(Speech(number))
        heard = MediaBlackhole()
        peer.on("track", heard.addTrack)
        body: Message = {"request": "join", "room": _ROOM, "display": f"speaker {number}"}
        await self._post({"janus": "message", "body": body})
        await self._event()
        await peer.setLocalDescription(await peer.createOffer())
        offer = {"type": "offer", "sdp": peer.localDescription.sdp}
        body = {"request": "configure", "muted": False}
        await self._post({"janus": "message", "body": body, "jsep": offer})
        answer = (await self._event(with_answer=True))["jsep"]
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        await heard.start()
        return peer

    async def keep(self) -> None:
        """Take what is told, which keeps the session."""
        while True:
            async with self._http.get(self._session_url) as told:
                await told.read()

    async def _post(self, message: Message) -> Message:
        message |= {"transaction": uuid.uuid4().hex}
        async with self._http.post(self._url, json=message) as answer:
            found: Message = await answer.json()
        if found["janus"] == "error":
            raise RuntimeError(found["error"]["reason"])
        return found

    async def _event(self, *, with_answer: bool = False) -> Message:
        while True:
            async with self._http.get(self._session_url) as told:
                event: Message = await told.json()
            if event["janus"] == "event" and (not with_answer or "jsep" in event):
                return event


async def take_part(url: str, count: int, recording: str) -> None:
    async with aiohttp.ClientSession() as http:
        people = [Participant(http, url) for _ in range(count)]
        for each in people:
            await each.begin()
        await people[0].create(recording)
        peers = [await each.join(number) for number, each in enumerate(people)]
        keeping = [asyncio.ensure_future(each.keep()) for each in people]
        print("joined", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in keeping:
            task.cancel()
        for peer in peers:
            await peer.close()


if __name__ == "__main__":
    asyncio.run(take_part(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
