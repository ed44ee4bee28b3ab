"""Each side of a call chooses for itself which of the working paths it sends over (RFC 8445)."""

from __future__ import annotations

import asyncio

import pytest
from aioice import Candidate, Connection
from aioice.ice import CandidatePair

from roomtape.rooms.rtp.bounds import Excess, MediaBounds
from roomtape.rooms.rtp.datagrams.aioice_internals import GATHER, STRANGERS, Door
from support.scripted_recording import until

AT_ONCE = STRANGERS[0] + 200
PACKET = bytes((128, 111)) + bytes(90)


class Caller:
    """One with two addresses, and one whose door we look at."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.excess = Excess("bob")
        self.ours = Connection(ice_controlling=False)
        self.door = Door(
            self.ours,
            loopback=True,
            bounds=MediaBounds(),
            excess=self.excess,
            take=self._take,
        )
        self.door.open()
        self.theirs = Connection(ice_controlling=True)
        gather = getattr(self.theirs, GATHER)

        async def two(component: int, addresses: list[str]) -> list[Candidate]:
            found: list[Candidate] = await gather(
                component=component, addresses=["127.0.0.1", "127.0.0.2"]
            )
            return found

        setattr(self.theirs, GATHER, two)

    def _take(self, data: bytes, arrived_ns: int) -> bool:
        if data != PACKET:  # ICE's own
            return False
        self.taken.append(data)
        return True

    async def connect(self) -> None:
        for one, other in ((self.ours, self.theirs), (self.theirs, self.ours)):
            await one.gather_candidates()
            for candidate in one.local_candidates:
                await other.add_remote_candidate(candidate)
            await other.add_remote_candidate(None)
            other.remote_username, other.remote_password = one.local_username, one.local_password
        await asyncio.gather(self.ours.connect(), self.theirs.connect())
        self.taken.clear()

    def other_path(self) -> CandidatePair:
        """From their address that is not the one of our path."""
        (used,) = self.ours._nominated.values()
        here = next(
            each
            for each in self.theirs._protocols
            if each.local_candidate.port != used.remote_candidate.port
        )
        ours = next(each for each in self.ours.local_candidates if each.host == "127.0.0.1")
        return CandidatePair(here, ours)

    def check(self, path: CandidatePair) -> None:
        request = self.theirs.build_request(path, nominate=False)
        request.add_message_integrity((self.theirs.remote_password or "").encode())
        path.protocol.send_stun(request, path.remote_addr)

    async def send(self, path: CandidatePair) -> None:
        for _ in range(AT_ONCE):
            await path.protocol.send_data(PACKET, path.remote_addr)
            await asyncio.sleep(0)

    async def close(self) -> None:
        await asyncio.gather(self.ours.close(), self.theirs.close())


@pytest.mark.network
async def test_audio_over_a_path_that_the_peer_chose_is_no_strangers() -> None:
    call = Caller()
    await call.connect()
    (used,) = call.ours._nominated.values()
    path = call.other_path()
    call.check(path)
    address = (path.local_candidate.host, path.local_candidate.port)
    succeeded = CandidatePair.State.SUCCEEDED
    await until(
        lambda: any(
            pair.remote_addr == address and pair.state is succeeded
            for pair in call.ours._check_list
        )
    )
    # Whether the two sides settle on the same path is luck of the order in which checks succeed.
    call.ours._nominated[1] = used
    await call.send(path)
    await until(lambda: len(call.taken) >= AT_ONCE or call.excess.counts.total() > 0)
    assert call.taken == [PACKET] * AT_ONCE
    assert not call.excess.counts
    await call.close()


@pytest.mark.network
async def test_what_was_never_checked_stays_a_strangers() -> None:
    call = Caller()
    await call.connect()
    path = call.other_path()
    for each in call.ours._check_list[:]:  # as if they had not told of that address
        if each.remote_addr == (path.local_candidate.host, path.local_candidate.port):
            call.ours._check_list.remove(each)
    await call.send(path)
    await until(lambda: call.excess.counts["datagrams"] >= 100)
    assert call.taken == []
    await call.close()
