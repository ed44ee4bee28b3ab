"""Some of a session's sources, in one channel or two, limited and encoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...types import AudioRecordingPosition
from ..arrays import Samples
from ..discretion.pauses import Pauses, without_cuts
from ..encoder import Encoder
from ..limiter import Limiter
from ..mixing.mixer import Bus
from ..source_track import SourceTrack

Takes = Callable[[SourceTrack], bool]
"""Whether a source is heard in a channel. Asked once, when it comes in."""


def everybody(_: SourceTrack) -> bool:
    """Every source."""
    return True


def channels_of(position: AudioRecordingPosition, channels: int) -> tuple[Takes, ...]:
    """Whose audio is in each channel of a recording: in one, everybody that ``position`` takes; of
    two, the local side is left, and the remote side right."""

    def wanted(source: SourceTrack) -> bool:
        return position.takes(local=source.local)

    if channels == 1:
        return (wanted,)
    return (
        lambda source: source.local and wanted(source),
        lambda source: not source.local and wanted(source),
    )


class Output:
    """Made by :meth:`~.session.RecordingSession.add_output`, and fed by the session.

    :meth:`encode` may come at any time between two calls of the session, and :meth:`finish` once,
    after its last.

    Args:
        encoder: Of as many channels as there are.
        channels: For each: its bus, and whose audio goes to it.
        pauses: What of the time is cut out, or has a tone.
    """

    def __init__(
        self, encoder: Encoder, channels: Sequence[tuple[Bus, Takes]], pauses: Pauses
    ) -> None:
        self.encoder = encoder
        self._pauses = pauses
        self.rate_hz = channels[0][0].rate_hz
        self._channels = channels
        self._limiters = [Limiter(self.rate_hz) for _ in channels]
        self._limited: list[Samples] = []  # shape (frames,), or (frames, channels)

    @property
    def mixed_samples(self) -> int:
        """Samples mixed so far, be they encoded already or not; without what was cut out."""
        return self._pauses.file_sample(self._channels[0][0].head, self.rate_hz)

    @property
    def limited_samples(self) -> int:
        """Those of them that a limiter turned down."""
        return max(limiter.limited_samples for limiter in self._limiters)

    def buses_for(self, source: SourceTrack) -> tuple[Bus, ...]:
        """Where its audio goes."""
        return tuple(bus for bus, takes in self._channels if takes(source))

    def feed(self, mixed: dict[Bus, Samples]) -> None:
        """Take what its buses gave in a mix."""
        self._keep(
            [
                limiter.process(self._paused(mixed[bus], bus.head))
                for limiter, (bus, _) in zip(self._limiters, self._channels, strict=True)
            ]
        )

    def flush(self) -> None:
        """Nothing more will be mixed."""
        self._keep([limiter.flush() for limiter in self._limiters])

    def encode(self) -> list[bytes]:
        """Give the units that are complete by what was mixed."""
        limited, self._limited = self._limited, []
        return [unit for samples in limited for unit in self.encoder.encode(samples)]

    def finish(self) -> list[bytes]:
        """Give all that is left."""
        return self.encode() + self.encoder.finish()

    def _paused(self, samples: Samples, end: int) -> Samples:
        first = end - len(samples)
        samples = self._pauses.with_tone(samples, first, self.rate_hz)
        return without_cuts(samples, self._pauses.kept(first, len(samples), self.rate_hz))

    def _keep(self, channels: list[Samples]) -> None:
        self._limited.append(channels[0] if len(channels) == 1 else np.stack(channels, axis=1))
