"""One recording, from pushed frames to encoded units: the whole of it that needs no I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ..types import NS_PER_S, SourceReport
from ..types.bounded import MOST_SOURCES, summed_up, weight
from .account import CUT_S
from .discretion.pauses import Pauses
from .encoder import Encoder, StemEncoder
from .level import Level, LevelledVoice
from .mixing.mixer import Bus, Mixer, Voice
from .outputs import Output, Stem, Stems, Takes, everybody
from .source_track import SourceTrack
from .timing.fast_path import place_all

if TYPE_CHECKING:
    from .timing._native import FastPath

logger = logging.getLogger(__name__)

MIX_DELAY_NS = NS_PER_S // 2
"""How far the mix head runs behind the clock: late audio has this long to arrive. A recorder has
no listener to serve in real time; but what it has not mixed yet, a crash takes."""

_CHUNK_SLACK_NS = NS_PER_S // 4
"""What comes in chunks is waited for so much longer than a chunk: for a resampler's filter, and for
chunks that are not all of one length."""
_MOST_DELAY_NS = NS_PER_S

_MOST_AT_ONCE_S = 1


class RecordingSession:
    """Reads each source's timeline once a mix; any number of outputs take what they want of it.

    Call order: :meth:`add_output` first; then :meth:`add_source` and ``SourceTrack.push`` at any
    time; :meth:`mix` every now and then, and ``encode`` of each output after it; :meth:`finish`
    once, and ``finish`` of each output. Mixing and encoding belong to one thread at a time. Times
    are nanoseconds from the start of the recording.

    A source whose audio makes anything raise is ended, alone: the others are as if it had been
    silent from then on. :attr:`failures` tells.

    Args:
        delay_ns: How far to stay behind the clock; further, up to a second, while somebody's audio
            comes in long chunks.
        level: Bring quiet and loud speakers together: see :mod:`.level`.
    """

    def __init__(self, *, delay_ns: int = MIX_DELAY_NS, level: bool = False) -> None:
        self._delay_ns = delay_ns
        self._levels: dict[SourceTrack, Level] | None = {} if level else None
        self._mixer = Mixer(self._voice_failed)
        self._outputs: list[Output] = []
        self.pauses = Pauses()
        """When nobody is recorded. All outputs lack the same time."""
        self._stems: Stems | None = None
        self._stemless: dict[SourceTrack, None] = {}  # those that have just come in
        self._buses: list[Bus] = []
        self.sources: list[SourceTrack] = []
        """Everybody who was in the recording, but for :attr:`earlier`."""
        self.earlier: SourceReport | None = None
        """The sums of those who left long ago, when there have been too many. Its times count from
        the start of the recording."""
        self._open: dict[SourceTrack, tuple[Bus, ...]] = {}
        self._source_of = WeakKeyDictionary[Voice, SourceTrack]()  # a voice that is done is let go
        self._now_ns = 0
        self._many = 2 * MOST_SOURCES  # so many sources are looked at: who left long ago?
        self.failures: list[str] = []
        """Sources that were ended because they failed, in words."""

    def add_output(
        self, encoder: Encoder, *, rate_hz: int, channels: Sequence[Takes] = (everybody,)
    ) -> Output:
        """One more output; before the first mix.

        Args:
            encoder: Of ``len(channels)`` channels.
            rate_hz: Its rate.
            channels: For each channel, whose audio it has.
        """
        made = [(self._mixer.add_bus(rate_hz), takes) for takes in channels]
        self._buses += [bus for bus, _ in made]
        output = Output(encoder, made, self.pauses)
        self._outputs.append(output)
        return output

    def add_stems(self, make_encoder: Callable[[], StemEncoder], *, most: int) -> None:
        """Give each source an output of its own as well, at the rate of the first output, from when
        it comes in until it has left; before the first mix, and once.

        Args:
            make_encoder: Makes an encoder of one channel.
            most: Later sources have none: see :attr:`stems_full`.
        """
        self._stems = Stems(
            self._mixer, self._buses[0], make_encoder, most=most, pauses=self.pauses
        )

    def take_begun_stems(self) -> list[Stem]:
        """The stems that are new; after each call of :meth:`mix` or :meth:`finish`."""
        if self._stems is None:
            return []
        begun, self._stems.begun = self._stems.begun, []
        return begun

    def let_go_of_stems(self, count: int) -> None:
        """So many stems of those who left are no more; between two mixes."""
        if self._stems is not None:
            self._stems.let_go(count)

    @property
    def stems_full(self) -> bool:
        """Whether somebody has no stem, since there are too many."""
        return self._stems is not None and self._stems.full

    def add_source(
        self, name: str, *, local: bool, joined_ns: int, expects_silence: bool = False
    ) -> SourceTrack | None:
        """Let somebody in. The track can be pushed to at once, from any thread.

        Returns:
            None if no output wants it.
        """
        source = SourceTrack(
            name, local=local, joined_ns=joined_ns, expects_silence=expects_silence
        )
        return source if self.let_in(source) else None

    def let_in(self, source: SourceTrack) -> bool:
        """Let in somebody whose track is there already; False if no output wants it."""
        buses = tuple(bus for output in self._outputs for bus in output.buses_for(source))
        if not buses:
            return False
        self.sources.append(source)
        if self._stems is not None:
            self._stemless[source] = None
        self._open[source] = buses
        return True

    @property
    def nothing_waits(self) -> bool:
        """Whether nobody who is in has said anything that is not mixed; between two mixes, from any
        thread."""
        return all(source.nothing_waits for source in list(self._open))

    def forget(self, concerns: Callable[[str], bool]) -> list[tuple[int, int]]:
        """Mix nothing more of these sources, whatever of it waits; between two mixes.

        Args:
            concerns: Whether a source of that name is one of them.

        Returns:
            When any of them was heard, in nanoseconds: as mixed so far, and rather too much than
            too little.
        """
        tracks = [source for source in list(self.sources) if concerns(source.name)]
        heard: list[tuple[int, int]] = []
        for source in tracks:
            source.curtain.drop()
            source.keep_books()
            heard += source.ledger.sound.spans()
        if self.earlier is not None:  # of whom nobody knows any more who they were
            heard.append((0, round(self.earlier.left_s * NS_PER_S)))
        return heard

    def mix(self, now_ns: int) -> None:
        """Mix up to ``delay_ns`` before ``now_ns``, for the outputs to encode."""
        self._ingest(now_ns)
        chunk_ns = max((source.chunk_ns for source in list(self._open)), default=0)
        delay_ns = max(self._delay_ns, min(chunk_ns + _CHUNK_SLACK_NS, _MOST_DELAY_NS))
        self._mix_to(lambda rate_hz: (now_ns - delay_ns) * rate_hz // NS_PER_S)
        if self._stems is not None:
            for bus in self._stems.end_those_over(self._open.__contains__):
                self._buses.remove(bus)

    def finish(self, now_ns: int) -> None:
        """Mix everything up to ``now_ns``; nothing follows."""
        self._ingest(now_ns)
        for source in list(self._open):
            try:
                source.close(now_ns)
            except Exception as error:
                self._source_failed(source, error)
        self._mix_to(lambda rate_hz: (now_ns * rate_hz + NS_PER_S // 2) // NS_PER_S)
        self.end()

    def end(self) -> None:
        """Mix no more, wherever it is: what was mixed can still be encoded. Call it once, in place
        of :meth:`finish`."""
        for source in self.sources:
            try:
                source.end()
            except Exception:  # it is over anyway; the report says what it can
                logger.exception("what was left of %s cannot be counted", source.name)
        self._mixer.close()
        self._open.clear()
        self._source_of.clear()
        for output in self._outputs:
            output.flush()
        if self._stems is not None:
            self._stems.end()

    def _mix_to(self, target_at: Callable[[int], int]) -> None:
        targets = {rate_hz: target_at(rate_hz) for rate_hz in {bus.rate_hz for bus in self._buses}}
        while True:
            counts = [
                max(0, min(targets[bus.rate_hz] - bus.head, _MOST_AT_ONCE_S * bus.rate_hz))
                for bus in self._buses
            ]
            if not any(counts):
                return
            if self._stems is not None:
                self._stems.mix_next(counts[0])
            returned = [bus for bus in self._buses if bus.on_sum is None]
            mixed = dict(zip(returned, self._mixer.mix(counts), strict=True))
            for output in self._outputs:
                output.feed(mixed)

    def _ingest(self, now_ns: int) -> None:
        self._now_ns = now_ns
        if len(self.sources) > self._many:
            self._sum_up_visitors(now_ns)
            self._many = max(2 * MOST_SOURCES, len(self.sources) + MOST_SOURCES // 4)
        # Somebody may come in meanwhile, on another thread: list() takes the keys in one step.
        sources = list(self._open)
        paths: list[FastPath | None] = []
        for source in sources:
            try:
                paths.append(source.look(now_ns))
            except Exception as error:
                paths.append(None)
                self._source_failed(source, error)
        for index in place_all(paths, now_ns):
            source = sources[index]
            try:
                if source in self._open:
                    self._ingest_one(source, self._open[source], now_ns)
            except Exception as error:
                self._source_failed(source, error)

    def _sum_up_visitors(self, now_ns: int) -> None:
        """Of those who left so long ago that the file cannot end before, let go of whom least came:
        a recording in which people come and go for days must not grow with them."""
        gone = [
            source
            for source in list(self.sources)
            if source.settled and now_ns - (source.left_ns or 0) > CUT_S * NS_PER_S
        ]
        if len(gone) <= 2 * MOST_SOURCES:
            return
        reports = {source: source.report(start_ns=0, end_ns=now_ns) for source in gone}
        light = sorted(gone, key=lambda source: weight(reports[source]))[:-MOST_SOURCES]
        earlier = [self.earlier] if self.earlier is not None else []
        self.earlier = summed_up([*earlier, *(reports[source] for source in light)])
        for source in light:
            self.sources.remove(source)

    def _ingest_one(self, source: SourceTrack, buses: tuple[Bus, ...], now_ns: int) -> None:
        left = source.left_ns is not None  # asked first: what was pushed before is ingested
        if self._stems is not None and source in self._stemless:
            del self._stemless[source]
            bus = self._stems.begin(source)
            if bus is not None:
                self._buses.append(bus)
                buses = self._open[source] = (*buses, bus)
        head_at = partial(self._mixer.head_at, buses=buses)
        for timeline in source.ingest(now_ns, head_at):
            voice: Voice = timeline
            if self._levels is not None:
                voice = LevelledVoice(timeline, self._levels.setdefault(source, Level()))
            self._source_of[voice] = source
            self._mixer.add(voice, buses)
        if left:
            source.close(now_ns)
            del self._open[source]
            if self._levels is not None:
                self._levels.pop(source, None)

    def _voice_failed(self, voice: Voice, error: Exception) -> None:
        self._source_failed(self._source_of[voice], error)

    def _source_failed(self, source: SourceTrack, error: Exception) -> None:
        logger.error("%s is ended, alone: its audio cannot be placed", source.name, exc_info=error)
        words = f"internal error: {error!r}"
        with suppress(Exception):  # what was mixed of it was heard
            source.keep_books()
        source.fail(words, self._now_ns)
        self._open.pop(source, None)
        if self._levels is not None:
            self._levels.pop(source, None)
        self.failures.append(f"{source.name} is no longer recorded: {words}")
