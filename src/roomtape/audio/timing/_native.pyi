from ...types import Pcm
from ..arrays import Samples
from .varispeed import Weights

class FastPath:
    """One source at one rate, while nothing has to be decided. Samples are mono int16, positions
    samples.

    Any method may be called at any time, from any thread. What comes from outside is refused
    where it is out of bounds: timestamps of 2**59 or more go the long way, other numbers of more
    than 2**60 are a ValueError, and more than 64 bits an OverflowError.
    """

    open: bool
    """Whether :meth:`push` takes anything; False at first."""

    def __init__(
        self,
        *,
        rate_hz: int,
        block: int,
        late: int,
        untimed_late: int,
        ahead: int,
        keep: int,
        most_pushed: int,
    ) -> None:
        """
        Args:
            block: A block of :meth:`heard` has so many samples at most.
            late, untimed_late: A frame with a timestamp, or without, is not later than this.
            ahead: A frame that came earlier than this says nothing of the sender's clock.
            keep: So many samples are kept after they have been read.
            most_pushed: So many wait for :meth:`place` at most.

        Raises:
            ValueError: One of them is negative or too large.
        """

    def push(
        self, pcm: Pcm, sample_rate: int, pts: int | None, arrived_ns: int, gap_is_silence: bool, /
    ) -> bool:
        """Take a copy of a frame, mixed down; False if it is none that goes the quick way. From
        any thread."""

    @property
    def pushed(self) -> int:
        """Samples that wait for :meth:`place` or :meth:`take`, without what was never sent."""

    @property
    def last_arrived_ns(self) -> int:
        """When the last frame came; 0 before the first."""

    @property
    def last_timed(self) -> bool:
        """Whether it had a timestamp."""

    @property
    def taken(self) -> int:
        """Samples that :meth:`push` ever took."""

    def take(self) -> list[tuple[bytes, int, int | None, bool]]:
        """Give up what was pushed and is not placed: samples, position of the arrival, timestamp,
        gap_is_silence."""

    def begin(
        self,
        pcm: Pcm,
        position: int,
        next_pts: int,
        anchor: int,
        playout_offset: int,
        last_at: int | None,
        /,
    ) -> None:
        """The source goes this way from now on: ``pcm`` waits at ``position``, and ``next_pts``
        comes behind it. What is read is heard ``playout_offset`` later."""

    def expect(self, window_end: int, calm_until: int, /) -> None:
        """Until the next :meth:`begin`, :meth:`place` need not tell of what came before
        ``window_end``, nor :meth:`add_to` of what is read up to ``calm_until``."""

    def place(self, now: int, /) -> tuple[int, tuple[int, int] | None] | None:
        """Place what was pushed, as far as all is as it should be: what continues the stream, or
        one frame before which nothing was sent for a second at most.

        Returns:
            None if nothing of this is worth telling. Else what is left (see ``fast_path.Left``);
            and of the frame that was delayed least, when it came, and how long after it would have
            been heard; None if that is remembered for :meth:`delays`.
        """

    def delays(self) -> list[tuple[int, int]]:
        """The two least of those since the last call that :meth:`place` has not told."""

    def unsent(self) -> list[tuple[int, int]]:
        """What was placed since the last call and was never sent: where such zeros begin and end.
        After a few of them, :meth:`place` waits for this call with what is left."""

    @classmethod
    def place_all(cls, paths: list[FastPath | None], now_ns: int, /) -> list[int]:
        """:meth:`place` of each path, at the position of this time from the start of the recording.

        Returns:
            The indexes of those at which nothing was done, since there is something to tell.
        """

    @classmethod
    def add_all(
        cls,
        paths: list[FastPath | None],
        total: Samples,
        stop: int,
        copies: list[Pcm] = ...,
        /,
    ) -> list[int]:
        """:meth:`add_to` of each path, of the samples that are heard before ``stop``. What is
        added goes to each one's array of ``copies``, too.

        Returns:
            The indexes of those at which nothing was done: there are not so many samples, or
            somebody should look at it.
        """

    @property
    def head(self) -> int:
        """Behind the last sample that was read, as it is heard."""

    def add_to(self, total: Samples, /) -> bool:
        """Add the next ``len(total)`` samples to ``total``; :attr:`ready_end` says how many there
        are. False if somebody should look at it, or ask for :meth:`heard`."""

    def heard(self) -> list[tuple[int, int]]:
        """Of each block that was read since the last call, where it was heard to end, and its
        peak."""

    @property
    def level(self) -> int:
        """The peak of the last block."""

    @property
    def ready_end(self) -> int:
        """Behind the last sample that was placed."""

    def end(self) -> tuple[bytes, int, int, int, int | None]:
        """The source does not go this way any more. Gives back the samples, those that were read
        at last before those that wait; how many of them were read; the position of the first that
        waits; the timestamp expected next; and when something came last."""

    def release(self) -> None:
        """Take nothing more, and give all memory back; what was pushed and not taken is gone."""

def add(total: Samples, pcm: Pcm, /) -> None:
    """``total += pcm``."""

def within_full_scale(samples: Samples, /) -> bool:
    """Whether no sample is out of int16."""

def warp(
    pcm: Pcm, samples: Pcm, table: Weights, first: int, done: int, length: int, change: int, /
) -> None:
    """:func:`roomtape.audio.timing.varispeed.warped` into ``pcm``.

    Args:
        samples: What is read.
        table: The weights.
        first: Where in ``samples`` the first one would be read if the slew began there.
        done: So many of the slew's samples were read before.
        length, change: The slew's; at most 2**34 and 2**16.

    Raises:
        ValueError: They do not go together; what is in ``pcm`` is of no use then.
    """
