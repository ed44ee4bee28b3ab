"""What is done to the call: to its speakers, to the network between them, and to the server."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from roomtape.server.app import RoomServer
from support.relay import Relay

from .log import Log
from .speakers import Speakers

_MOST_SPEAKERS = 3
"""Each hears each: with the recorder, twelve streams; more would measure this machine."""


class Harm:
    """Brings speakers into the room, and harms.

    Args:
        server: Restarted now and then.
        relay: Between the server, the speakers and the recorder.
        speakers: Those in the room.
        recorder: The recorder's name.
        chance: Decides what comes next.
        log: Told of everything.
    """

    def __init__(
        self,
        server: RoomServer,
        relay: Relay,
        speakers: Speakers,
        *,
        recorder: str,
        chance: Random,
        log: Log,
    ) -> None:
        self.done: Counter[str] = Counter()
        """How often each was done."""
        self.server = server
        """The one that runs now."""
        self.phases: set[asyncio.Task[None]] = set()
        """Bad times of the network that last."""
        self._relay = relay
        self._speakers = speakers
        self._recorder = recorder
        self._chance = chance
        self._log = log

    async def go_on(self) -> None:
        """Until cancelled."""
        while True:
            present = self._speakers.present
            if len(present) < _MOST_SPEAKERS and self._chance.random() < 0.6:
                self.done["join"] += await self._speakers.join(self._relay.url)
            elif present:
                speakers = self._speakers
                harm = self._chance.choice(
                    (speakers.leave, speakers.kill, speakers.mute, speakers.mute, speakers.stall)
                    + (self._degrade,) * 4
                    + (self._drop_websocket, self._restart_server)
                )
                self.done[harm.__name__.strip("_").replace("_", " ")] += 1
                await harm(self._chance.choice(present))
            await asyncio.sleep(self._chance.uniform(0.5, 4.0))
            self._speakers.notice_crashes()

    async def _degrade(self, uid: str) -> None:
        """A bad phase of the network from a speaker to the recorder, or back."""
        way = self._relay.way(*self._chance.choice(((uid, self._recorder), (self._recorder, uid))))
        name, value = self._chance.choice(
            (
                ("loss", self._chance.uniform(0.01, 0.25)),
                ("cut", True),
                ("delay_s", self._chance.uniform(0.02, 0.3)),
                ("jitter_s", 0.06),
                ("reordered", 0.3),
                ("copies", 0.3),
            )
        )
        seconds = self._chance.uniform(0.2, 3) if name == "cut" else self._chance.uniform(2, 15)
        self._log.say(f"{uid}: {name} {value:.2f} for {seconds:.1f} s")

        async def phase() -> None:
            setattr(way, name, value)
            await asyncio.sleep(seconds)
            setattr(way, name, type(value)(0))

        task = asyncio.create_task(phase())
        self.phases.add(task)
        task.add_done_callback(self.phases.discard)

    async def _drop_websocket(self, uid: str) -> None:
        whose = self._chance.choice((uid, self._recorder))
        self._log.say(f"the WebSocket of {whose} drops")
        self._relay.drop_websocket(whose)

    async def _restart_server(self, uid: str) -> None:
        port = int(self.server.url.rsplit(":", 1)[1])
        self._log.say("the server is restarted")
        await self.server.stop()
        await asyncio.sleep(self._chance.uniform(0, 2))
        self.server = RoomServer("127.0.0.1", port)
        await self.server.start()
        # All have to find it again before the next one of these, or names would be taken.
        await asyncio.sleep(6)
