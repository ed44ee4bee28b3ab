"""server/link.py: what waits for a client, and when it is cut off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from roomtape.server import link as link_module
from roomtape.server.link import MAX_UNSENT_ALL_BYTES, MAX_UNSENT_BYTES, Link, Note


class Client:
    """Stands for a WebSocket and its transport; takes messages while ``reads`` is set."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.closed: int | None = None
        self.aborted = False
        self.reads = asyncio.Event()

    async def send_str(self, text: str) -> None:
        await self.reads.wait()
        self.taken.append(text)

    async def close(self, *, code: int) -> None:
        self.closed = code

    def abort(self) -> None:
        self.aborted = True


def linked(client: Any) -> Link:
    return Link(client, client)


def relayed(size: int) -> Note:
    return Note("x" * size, relayed=True)


async def test_all_that_waits_is_sent_in_order_before_the_end() -> None:
    client = Client()
    link = linked(client)
    for number in range(500):
        assert link.send(Note.of({"number": number}))
    link.end(4001)
    assert not client.taken
    client.reads.set()
    assert await link.finish() == []
    assert client.taken == [f'{{"number": {number}}}' for number in range(500)]
    assert (client.closed, client.aborted) == (4001, False)


async def test_what_others_send_to_a_client_that_lags_is_left_out_and_cuts_nobody() -> None:
    client = Client()
    link = linked(client)
    taken = [link.send(relayed(60_000)) for _ in range(100)]
    assert taken == [True] * (MAX_UNSENT_BYTES // 60_000) + [False] * (
        100 - MAX_UNSENT_BYTES // 60_000
    )
    assert link.send(Note.of({"type": "state"})), "how the others are is told all the same"
    assert not client.aborted
    client.reads.set()
    await asyncio.sleep(0.01)
    assert link.send(relayed(60_000))
    await link.finish()


async def test_a_client_for_which_too_much_waits_is_cut_off() -> None:
    client = Client()
    link = linked(client)
    sent = 0
    while not client.aborted:
        link.send(Note("x" * 10_000, relayed=False))
        sent += 10_000
    assert sent == pytest.approx(MAX_UNSENT_ALL_BYTES, abs=20_000)
    unsent = await link.finish()
    assert sum(len(note.text) for note in unsent) <= MAX_UNSENT_ALL_BYTES


async def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "STUCK_AFTER_S", 0.05)
    client = Client()
    link = linked(client)
    link.send(Note.of({"type": "state"}))
    async with asyncio.timeout(10):
        while not client.aborted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await link.finish()


async def test_a_client_that_makes_mistakes_and_does_not_listen_is_not_told_of_all() -> None:
    client = Client()
    link = linked(client)
    for _ in range(100_000):
        link.complain("bad_message", "once more")
    assert not client.aborted
    assert sum(len(note.text) for note in await link.finish()) < 17 * 1024
