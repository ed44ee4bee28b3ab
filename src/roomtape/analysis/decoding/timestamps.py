"""Where decoded frames stand, by their timestamps."""

from __future__ import annotations

from .output import Output

_TOLERANCE_S = 0.015
"""Less than the frames that are lost one at a time, more than the rounding of any container."""
_UNDECLARED_S = 3600
"""No hole is believed to be longer, where the file does not say how long it is."""
_MOST_SILENCE_S = 4 * 3600
"""All holes together: more is not for a file to claim that does not hold it."""


class Timestamps:
    """Fills the holes between timestamps, and follows no jump that cannot be true.

    Call :meth:`place` for each frame, between ``output.expect`` and ``output.write``.

    Args:
        output: Where the frames go. What it has already is not this file's.
        origin_s: The timestamp of the file's beginning; None is that of the first frame.
        end_s: Where the file claims to end, from its beginning; None where it does not say.
    """

    def __init__(self, output: Output, *, origin_s: float | None, end_s: float | None) -> None:
        self.begins_s = 0.0
        """How long the silence is in front of the first frame."""
        self.holes: list[tuple[float, float]] = []
        """Where silence stands for what is missing: begin and length in seconds."""
        self.jumps: list[tuple[float, float]] = []
        """Where timestamps jumped, and how far: not followed."""
        self._output = output
        self._origin_s, self._end_s = origin_s, end_s
        self._start = output.position
        self._begun = False
        self._shift = 0  # from timestamps to positions
        self._silence = 0
        self._tolerance = 0

    def place(self, at: int | None) -> None:
        """Account for the timestamp of the next frame, in samples; None where it has none."""
        output = self._output
        if not self._begun:
            self._begin(at)
        if at is None:
            return
        ahead = at + self._shift - output.position
        if -self._tolerance <= ahead <= self._tolerance:
            return
        rate_hz = output.rate_hz
        here_s = (output.position - self._start) / rate_hz
        if ahead < 0 or not self._believable(ahead, here_s):
            self._shift -= ahead
            if here_s:
                self.jumps.append((here_s, ahead / rate_hz))
            return
        if here_s:
            self.holes.append((here_s, ahead / rate_hz))
        else:
            self.begins_s = ahead / rate_hz
        self._silence += ahead
        output.silence(ahead)

    def _begin(self, at: int | None) -> None:
        self._begun = True
        rate_hz = self._output.rate_hz
        self._tolerance = round(_TOLERANCE_S * rate_hz)
        origin = at or 0 if self._origin_s is None else round(self._origin_s * rate_hz)
        self._shift = self._start - origin

    def _believable(self, ahead: int, here_s: float) -> bool:
        rate_hz = self._output.rate_hz
        end_s = self._end_s if self._end_s is not None else here_s + _UNDECLARED_S
        return (
            here_s + ahead / rate_hz <= end_s + 1
            and self._silence + ahead <= _MOST_SILENCE_S * rate_hz
        )
