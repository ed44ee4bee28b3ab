"""Addresses of the server, for one peer connection, at the door."""

from __future__ import annotations

from aiortc import RTCIceCandidate, RTCPeerConnection
from aiortc.sdp import candidate_from_sdp

from ..rtp.bounds import MAX_CANDIDATE_BYTES, MAX_CANDIDATES, Excess


class Candidates:
    """Gives a connection each address once, when it is ready for them, and so many at most.

    Args:
        connection: All of it goes over one transport.
        excess: Where is counted what is left out.
    """

    def __init__(self, connection: RTCPeerConnection, excess: Excess) -> None:
        self._connection = connection
        self._excess = excess
        self._mid: str | None = None
        self._seen: set[str] = set()
        self._early: list[str] = []

    async def described(self, mid: str, texts: list[str]) -> None:
        """The server's description was taken in; ``mid`` is its first section, ``texts`` what it
        names."""
        self._mid = mid
        early, self._early = self._early, []
        for text in [*texts, *early]:
            await self.add(text)

    async def add(self, text: str) -> None:
        """One address, as in an ``RTCIceCandidate``."""
        text = text.removeprefix("candidate:")
        if text in self._seen:
            return
        if len(self._seen) + len(self._early) >= MAX_CANDIDATES:
            self._excess.add(f"candidates, more than {MAX_CANDIDATES}")
            return
        if self._mid is None:
            self._early.append(text)
            return
        self._seen.add(text)
        candidate = _parsed(text)
        if candidate is None:
            self._excess.add("candidates that are broken")
        elif candidate.component == 1 and candidate.protocol.lower() == "udp":
            candidate.sdpMid = self._mid
            await self._connection.addIceCandidate(candidate)


def _parsed(text: str) -> RTCIceCandidate | None:
    if len(text) > MAX_CANDIDATE_BYTES:
        return None
    try:
        candidate = candidate_from_sdp(text)
    except (ValueError, AssertionError, IndexError):
        return None
    return candidate if 0 < candidate.port < 65536 else None
