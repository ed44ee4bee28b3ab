"""One recording, from pushed frames to encoded units: the whole of it that needs no I/O.

Call order: :meth:`add_source` and ``SourceTrack.push`` at any time; :meth:`mix` and :meth:`encode`
every now and then; :meth:`finish` once. These three belong to one thread at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..types import NS_PER_S, AudioFormat, AudioRecordingQuality
from .arrays import Samples
from .encoder import make_encoder
from .limiter import Limiter
from .mixer import Mixer
from .source_track import SourceTrack

MIX_DELAY_NS = NS_PER_S // 2
"""How far the mix head runs behind the clock: late audio has this long to arrive. A recorder has
no listener to serve in real time; but what it has not mixed yet, a crash takes."""

_MOST_AT_ONCE_S = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """What a session has done.

    Attributes:
        mixed_samples: Samples mixed, be they encoded already or not.
        limited_samples: Those of them that the limiter turned down.
    """

    mixed_samples: int
    limited_samples: int


class RecordingSession:
    """See the module's text. Times are nanoseconds from the start of the recording.

    Args:
        rate_hz: The rate of the recording.
        audio_format, quality: What to encode to.
        delay_ns: How far to stay behind the clock.
    """

    def __init__(
        self,
        *,
        rate_hz: int,
        audio_format: AudioFormat,
        quality: AudioRecordingQuality,
        delay_ns: int = MIX_DELAY_NS,
    ) -> None:
        self.rate_hz = rate_hz
        self.encoder = make_encoder(audio_format, rate_hz, quality)
        self._delay_ns = delay_ns
        self._mixer = Mixer(rate_hz)
        self._limiter = Limiter(rate_hz)
        self.sources: list[SourceTrack] = []
        """Everybody who was in the recording."""
        self._open: list[SourceTrack] = []
        self._mixed: list[Samples] = []

    def add_source(self, name: str, *, local: bool, joined_ns: int) -> SourceTrack:
        """Let somebody in. The track can be pushed to at once, from any thread."""
        source = SourceTrack(name, local=local, joined_ns=joined_ns)
        self.sources.append(source)
        self._open.append(source)
        return source

    @property
    def progress(self) -> Progress:
        return Progress(self._mixer.head, self._limiter.limited_samples)

    def mix(self, now_ns: int) -> None:
        """Mix up to ``delay_ns`` before ``now_ns``, for :meth:`encode`."""
        self._ingest(now_ns)
        self._mix_to((now_ns - self._delay_ns) * self.rate_hz // NS_PER_S)

    def encode(self) -> list[bytes]:
        """Give the units that are complete by what was mixed."""
        mixed, self._mixed = self._mixed, []
        return [unit for samples in mixed for unit in self.encoder.encode(samples)]

    def advance(self, now_ns: int) -> list[bytes]:
        """:meth:`mix` and :meth:`encode`."""
        self.mix(now_ns)
        return self.encode()

    def finish(self, now_ns: int) -> list[bytes]:
        """Mix everything up to ``now_ns``, and give all that is left."""
        self._ingest(now_ns)
        for source in self._open:
            source.close(now_ns)
        self._mix_to((now_ns * self.rate_hz + NS_PER_S // 2) // NS_PER_S)
        self._mixer.close()
        self._mixed.append(self._limiter.flush())
        return self.encode() + self.encoder.finish()

    def _mix_to(self, target: int) -> None:
        most = _MOST_AT_ONCE_S * self.rate_hz
        while self._mixer.head < target:
            samples = self._mixer.mix(min(target - self._mixer.head, most))
            self._mixed.append(self._limiter.process(samples))

    def _ingest(self, now_ns: int) -> None:
        for source in tuple(self._open):
            left = source.left_ns is not None  # asked first: what was pushed before is ingested
            for timeline in source.ingest(now_ns, self._mixer.head_at):
                self._mixer.add(timeline)
            if left:
                source.close(now_ns)
                self._open.remove(source)
