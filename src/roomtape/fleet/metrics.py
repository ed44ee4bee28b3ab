"""What a worker counts, in Prometheus' words."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from .recorder.messages import Beat, Ended


class Metrics:
    """One worker's, in a registry of its own. No room, file or participant is named in them."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()

        def gauge(name: str, words: str, *labels: str) -> Gauge:
            return Gauge(f"roomtape_{name}", words, labels, registry=registry)

        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"roomtape_{name}", words, labels, registry=registry)

        self.rooms = gauge("rooms", "Rooms that are recorded")
        self.rooms_limit = gauge("rooms_limit", "Rooms that would be recorded at most")
        self.processes = gauge("processes", "Recorder processes that are up")
        self.redis_up = gauge("redis_up", "Whether Redis answers (1 without --redis)")
        self.livekit_up = gauge("livekit_up", "Whether the LiveKit service answers")
        self.draining = gauge("draining", "Whether the worker takes no further rooms and ends")
        self.disk_free_bytes = gauge("disk_free_bytes", "Free where recordings go")
        self.lag_s = gauge("recorder_lag_seconds", "Worst recent delay of a recorder", "process")
        self.recorded_s = gauge("recorded_seconds", "Written by the processes that are up")
        self.cpu_s = gauge("recorder_cpu_seconds", "Processor time of the processes that are up")
        self.taken = counter("leases_taken", "Rooms that were taken")
        self.lost = counter("leases_lost", "Rooms that another worker had taken")
        self.restarts = counter("process_restarts", "Recorder processes that died")
        self.recovered = counter("recovered_files", "Files of killed recorders that were finished")
        self.removed = counter("removed_files", "Files that were older than they are kept")
        self.webhooks = counter("webhooks", "What came to /webhook", "result")
        self._recordings = counter("recordings", "Recordings that ended", "result")
        self._missing_s = counter("missing_seconds", "Audio that is not in the files", "kind")
        self._warnings = counter("warnings", "What recordings suffered from", "code")

    def count_ended(self, ended: Ended) -> None:
        """One recording is over."""
        how = "failed" if ended.failed else "finished"
        self._recordings.labels(how if ended.file else "not_begun").inc()
        self._missing_s.labels("lost").inc(max(0.0, ended.lost_s))
        self._missing_s.labels("late").inc(max(0.0, ended.late_s))
        for code, count in ended.warnings.items():
            self._warnings.labels(code).inc(count)

    def show_beats(self, beats: dict[int, Beat]) -> None:
        """What the processes told last."""
        for number, beat in beats.items():
            self.lag_s.labels(str(number)).set(beat.lag_s)
        self.recorded_s.set(sum(beat.recorded_s for beat in beats.values()))
        self.cpu_s.set(sum(beat.cpu_s for beat in beats.values()))

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self._registry)
