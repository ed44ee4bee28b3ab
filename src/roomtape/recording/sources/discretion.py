"""Whose voice a recording keeps out, and since when.

What is kept out is replaced where it comes in, before anything keeps it: by silence, or a quiet
tone, of the same length at the same time. So nothing of it can be in a file, a ring, a stem, a
saved part, or what a crash leaves; and what it says of time and loss stays true.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter

from ...audio.discretion.pauses import MOST_CUTS, Pauses
from ...types import NS_PER_S, Act, ActKind, Consent, PauseMode
from ...types.errors import StateError
from .stand_in import LIFT_NS, StandIn

logger = logging.getLogger(__name__)

MOST_ACTS = 1000
MOST_BY_CHARACTERS = 200
_WITHIN_NS = NS_PER_S // 1000
"""A file ends with a whole sample, and what was decided in that moment belongs to it."""


class Discretion:
    """What was decided of one recording, and by whom. From one thread at a time.

    Args:
        pauses: Of the recording: they are changed here.
        consent: Whether a participant must have agreed.
    """

    def __init__(self, pauses: Pauses, consent: Consent) -> None:
        self._pauses = pauses
        self._consent = consent
        self._agreed: set[str] = set()
        self._withdrawn: set[str] = set()
        self._excluded: set[str] = set()
        self._masked: dict[str, StandIn] = {}
        self._paused: PauseMode | None = None
        self._acts: list[tuple[int, Act]] = []

    @property
    def paused(self) -> bool:
        """Nobody is heard."""
        return self._paused is not None

    def in_place_of(self, name: str, *, local: bool = False) -> StandIn | None:
        """What is heard in place of somebody of that name; None for the voice itself. The local
        side is not asked for its consent: it is who records."""
        names = _names_of(name)
        if self.paused or not (self._excluded | self._withdrawn).isdisjoint(names):
            return StandIn.SILENCE
        asked = self._consent is Consent.REQUIRED and not local
        if asked and self._agreed.isdisjoint(names):
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
        *,
        stand_in: StandIn = StandIn.SILENCE,
        mode: PauseMode = PauseMode.SILENCE,
    ) -> None:
        """It is so from now on. What is so already is no act.

        Args:
            kind: What was decided.
            who: The participant; empty for all.
            by: Who decided it, for the report, at most 200 characters.
            now_ns: From the start of the recording; negative, or 0, before it.
            stand_in: What a mask puts in place of a voice.
            mode: What stands where it is paused.

        Raises:
            ValueError: A name is none.
            StateError: So much was cut out that no more can be.
        """
        how = ""
        if not isinstance(who, str):
            raise ValueError(f"a name is a text, not {who!r:.40}")
        if not isinstance(by, str) or len(by) > MOST_BY_CHARACTERS:
            raise ValueError(f"by is a text of at most {MOST_BY_CHARACTERS} characters")
        match kind:
            case ActKind.FORGOTTEN | ActKind.EXCLUDED if (
                kind is ActKind.FORGOTTEN or who not in self._excluded
            ):
                self._excluded.add(who)
            case ActKind.INCLUDED if who in self._excluded:
                self._excluded.remove(who)
            case ActKind.AGREED if who not in self._agreed:
                self._withdrawn.discard(who)
                self._agreed.add(who)
            case ActKind.WITHDRAWN if who not in self._withdrawn:
                self._agreed.discard(who)
                self._withdrawn.add(who)
            case ActKind.MASKED if self._masked.get(who) is not stand_in:
                self._masked[who] = stand_in
                how = stand_in.value
            case ActKind.UNMASKED if who in self._masked:
                del self._masked[who]
            case ActKind.PAUSED if self._paused is not mode:
                if mode is PauseMode.SKIP and self._pauses.full:
                    raise StateError(f"a recording has at most {MOST_CUTS} cuts; pause otherwise")
                self._pause(mode, now_ns)
                how = mode.value
            case ActKind.RESUMED if self.paused:
                self._pause(None, now_ns)
            case _:
                return
        logger.info("%s %s, by %s", who or "the recording", kind.value, by or "the program")
        self._note(now_ns, Act(kind, now_ns / NS_PER_S, who, by, how))

    def ask_again(self, who: str) -> None:
        """What it said of its consent holds no longer: it has left, and whoever comes under its
        name is asked anew."""
        self._agreed.discard(who)
        self._withdrawn.discard(who)

    def _note(self, now_ns: int, act: Act) -> None:
        """Past a thousand, the oldest of whom most was decided goes: nobody who says yes and no all
        the time costs the others what is known of them."""
        self._acts.append((now_ns, act))
        if len(self._acts) <= MOST_ACTS:
            return
        (busiest, _), *_ = Counter(act.who for _, act in self._acts).most_common(1)
        oldest = next(at for at, (_, act) in enumerate(self._acts) if act.who == busiest)
        del self._acts[oldest]

    def _pause(self, mode: PauseMode | None, now_ns: int) -> None:
        self._paused = mode
        self._pauses.change(mode, now_ns, now_ns + LIFT_NS)

    def acts(self, first_ns: int, end_ns: int) -> tuple[Act, ...]:
        """All up to ``end_ns`` (a thousand at most), counted from ``first_ns``, both in the file:
        negative where it was so before that already."""
        placed = [(self._pauses.file_ns(at_ns), act) for at_ns, act in tuple(self._acts)]
        return tuple(
            dataclasses.replace(act, at_s=(min(at_ns, end_ns) - first_ns) / NS_PER_S)
            for at_ns, act in placed
            if at_ns <= end_ns + _WITHIN_NS
        )


def _names_of(name: str) -> tuple[str, ...]:
    """What is decided of these concerns ``name``: its own, and the participant's whose track it is
    (``bob (2)`` is one of ``bob``)."""
    person, _, number = name.rpartition(" (")
    track = number.endswith(")") and number[:-1].isdecimal()
    return (name, person) if track else (name,)
