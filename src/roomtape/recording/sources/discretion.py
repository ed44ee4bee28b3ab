"""Whose voice a recording keeps out, and since when.

What is kept out is replaced where it comes in, before anything keeps it: by silence, or a quiet
tone, of the same length at the same time. So nothing of it can be in a file, a ring, a stem, a
saved part, or what a crash leaves; and what it says of time and loss stays true.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable

from ...types import NS_PER_S, Act, ActKind
from .stand_in import StandIn

logger = logging.getLogger(__name__)

MOST_ACTS = 1000
MOST_BY_CHARACTERS = 200


class Discretion:
    """What was decided of one recording, and by whom. From one thread at a time."""

    def __init__(self) -> None:
        self._excluded: set[str] = set()
        self._masked: dict[str, StandIn] = {}
        self._paused = False
        self._acts = deque[tuple[int, Act]](maxlen=MOST_ACTS)

    @property
    def paused(self) -> bool:
        """Nobody is heard."""
        return self._paused

    def in_place_of(self, name: str) -> StandIn | None:
        """What is heard in place of somebody of that name; None for the voice itself."""
        names = _names_of(name)
        if self._paused or not self._excluded.isdisjoint(names):
            return StandIn.SILENCE
        return next((self._masked[each] for each in names if each in self._masked), None)

    @staticmethod
    def concerns(who: str, name: str) -> bool:
        """Whether what is decided of ``who`` is decided of somebody of that name."""
        return who in _names_of(name)

    def decide(
        self,
        kind: ActKind,
        who: str,
        by: str,
        now_ns: int,
        stand_in: StandIn = StandIn.SILENCE,
    ) -> None:
        """It is so from now on. What is so already is no act.

        Args:
            kind: What was decided.
            who: The participant; empty for all.
            by: Who decided it, for the report, at most 200 characters.
            now_ns: From the start of the recording; negative, or 0, before it.
            stand_in: What a mask puts in place of a voice.

        Raises:
            ValueError: A name is none.
        """
        if not isinstance(who, str):
            raise ValueError(f"a name is a text, not {who!r:.40}")
        if not isinstance(by, str) or len(by) > MOST_BY_CHARACTERS:
            raise ValueError(f"by is a text of at most {MOST_BY_CHARACTERS} characters")
        match kind:
            case ActKind.EXCLUDED if who not in self._excluded:
                self._excluded.add(who)
            case ActKind.FORGOTTEN:
                self._excluded.add(who)
            case ActKind.INCLUDED if who in self._excluded:
                self._excluded.remove(who)
            case ActKind.MASKED if self._masked.get(who) is not stand_in:
                self._masked[who] = stand_in
            case ActKind.UNMASKED if who in self._masked:
                del self._masked[who]
            case ActKind.PAUSED if not self._paused:
                self._paused = True
            case ActKind.RESUMED if self._paused:
                self._paused = False
            case _:
                return
        logger.info("%s %s, by %s", who or "the recording", kind.value, by or "the program")
        self._acts.append((now_ns, Act(kind, now_ns / NS_PER_S, who, by)))

    def acts(self, first_ns: int, end_ns: int) -> tuple[Act, ...]:
        """The latest thousand up to ``end_ns``, counted from ``first_ns``: negative where it was so
        before that already."""
        return tuple(_counted_from(first_ns, self._acts, end_ns))


def _names_of(name: str) -> tuple[str, ...]:
    """What is decided of these concerns ``name``: its own, and the participant's whose track it is
    (``bob (2)`` is one of ``bob``)."""
    person, _, number = name.rpartition(" (")
    track = number.endswith(")") and number[:-1].isdecimal()
    return (name, person) if track else (name,)


def _counted_from(first_ns: int, acts: Iterable[tuple[int, Act]], end_ns: int) -> Iterable[Act]:
    for at_ns, act in tuple(acts):
        if at_ns <= end_ns:
            yield Act(act.kind, (at_ns - first_ns) / NS_PER_S, act.who, act.by)
