"""How much one client may make the server and the others do.

Two bounds, which work in different ways. A client that says more than an honest one can is read
more slowly (:class:`Pace`): its own connection is held up, and nobody else's. And what one
participant sends to one other is bounded, too (:class:`Flow`): what is beyond is not passed on, so
that nobody has to take in more than that from each of the others.
"""

from __future__ import annotations

from .budget import Budget
from .protocol import MAX_CANDIDATES, Relay

MESSAGES_PER_S, MESSAGES_BURST = 64.0, 1024.0
"""Of one client. A browser that comes into a full room sends 31 offers with some 16 candidates
each."""
BYTES_PER_S, BYTES_BURST = 128.0 * 1024, 1024.0 * 1024
"""Of one client. These offers have 12 kB each at most."""
STATES_PER_S, STATES_BURST = 4.0, 32.0
"""Of one client, which everybody else is told of. No hand mutes faster."""

FLOW_MESSAGES_PER_S, FLOW_MESSAGES_BURST = 16.0, 128.0
"""To one other. A call takes an offer, an answer and its candidates."""
FLOW_BYTES_PER_S, FLOW_BYTES_BURST = 32.0 * 1024, 256.0 * 1024
"""To one other."""
FLOW_OFFERS_PER_S, FLOW_OFFERS_BURST = 1.0, 8.0
"""To one other: each offer makes it build a connection. A client that cannot get through tries
again after 0.5, 1, 2 and then every 4 s."""
JOINS_PER_S, JOINS_BURST = 2.0, 64.0
"""New seats of one room for one address. Two full rooms at once, as after a restart."""


class Pace:
    """What one client has said."""

    def __init__(self) -> None:
        self._messages = Budget(per_s=MESSAGES_PER_S, burst=MESSAGES_BURST)
        self._bytes = Budget(per_s=BYTES_PER_S, burst=BYTES_BURST)
        self._states = Budget(per_s=STATES_PER_S, burst=STATES_BURST)

    def said(self, size: int) -> float:
        """It said ``size`` bytes: how many seconds to wait before it is listened to again."""
        return max(self._messages.spend(1), self._bytes.spend(size))

    def changed(self) -> float:
        """It changed its state: how many seconds to wait before it is listened to again."""
        return self._states.spend(1)


class Flow:
    """What one participant has sent to another."""

    def __init__(self) -> None:
        self._messages = Budget(per_s=FLOW_MESSAGES_PER_S, burst=FLOW_MESSAGES_BURST)
        self._bytes = Budget(per_s=FLOW_BYTES_PER_S, burst=FLOW_BYTES_BURST)
        self._offers = Budget(per_s=FLOW_OFFERS_PER_S, burst=FLOW_OFFERS_BURST)
        self._call = ""
        self._candidates = 0

    def refusal(self, relay: Relay) -> str | None:
        """Take account of a message.

        Returns:
            Why it must not be passed on; None if it may.
        """
        size = relay.size
        if relay.call != self._call:
            self._call, self._candidates = relay.call, 0
        if self._candidates + relay.candidates > MAX_CANDIDATES:
            return f"a call may have {MAX_CANDIDATES} candidates from each side"
        if not self._messages.affords(1) or not self._bytes.affords(size):
            return (
                f"more than {FLOW_MESSAGES_PER_S:.0f} messages or "
                f"{FLOW_BYTES_PER_S / 1024:.0f} KiB a second to one participant"
            )
        if relay.kind == "offer" and not self._offers.affords(1):
            return f"more than {FLOW_OFFERS_PER_S:.0f} offer a second to one participant"
        self._candidates += relay.candidates
        self._messages.spend(1)
        self._bytes.spend(size)
        if relay.kind == "offer":
            self._offers.spend(1)
        return None
