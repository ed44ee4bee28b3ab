"""What can be done with a recording while it goes on: the part of a recorder that ends nothing."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..audio.session import RecordingSession
from ..types import (
    ActKind,
    AudioRecordingConfiguration,
    AudioRecordingWarning,
    Consent,
    Forgotten,
    Mark,
    PauseMode,
    RecordingReport,
)
from ..types.clock import Clock
from ..types.errors import StateError
from .events import EventFeed
from .life import Life, RecorderState
from .saving.request import checked_cycle, checked_path, checked_request
from .sources.participants import Participants
from .sources.stand_in import StandIn

if TYPE_CHECKING:
    from .run import Run


class WhileRecording(Participants):
    """Saves parts of it, marks moments in it, and has it become live or cyclic; a recorder is
    one.

    Args:
        config: What is recorded; checked.
        clock, events: See :class:`Participants`.
        session: What is mixed.
    """

    def __init__(
        self,
        config: AudioRecordingConfiguration,
        clock: Clock,
        events: EventFeed,
        session: RecordingSession,
    ) -> None:
        super().__init__(clock, events, session.pauses, Consent(config.consent))
        self._session = session
        self.config = config
        """What is recorded, and where to."""
        self._life = Life(str(config.path))
        self._run: Run | None = None

    @property
    def recording(self) -> bool:
        """Whether it runs."""
        return self._life.state is RecorderState.RECORDING

    @property
    def path(self) -> Path:
        """The absolute path of the file that it goes to now."""
        return self.config.first_path if self._run is None else self._run.path

    @property
    def last_part(self) -> RecordingReport | None:
        """What is in the file that was finished last while the recording went on in another: of a
        split recording, or by :meth:`demote`. None before the first."""
        return None if self._run is None else self._run.parts.last

    @property
    def cyclic(self) -> bool:
        """Whether only the last seconds are kept, for now."""
        return self.config.cycle_time > 0 if self._run is None else self._run.parts.cyclic

    async def save(
        self,
        file_path: str | os.PathLike[str],
        *,
        last_s: float = 30.0,
        then_s: float = 0.0,
        since_last_save: bool = False,
    ) -> RecordingReport:
        """Make the last seconds a finished file of their own, while the recording goes on.

        The moment of the call counts, to the sample (of AAC, to a frame of 1024); the file is there
        when that has been mixed and written, about a second later. As often as wanted, overlapping
        or not, up to 16 at the same time. Its report is beside it, as ``FILE.json``, and SAVED or
        SAVE_FAILED tells the end of it. Whoever waits may give up: it is saved all the same. Of a
        recording with stems, the same stretch of each is in a directory beside it (for
        ``incident.wav``, ``incident-stems``).

        Args:
            file_path: In the format of the recording; what stands there is moved aside.
            last_s: How many seconds before now. Where there is less (the beginning, or of a
                cyclic recording the cycle), what there is; ``missing_s`` of the report says so.
            then_s: How many seconds after now, at most 3600. If the recording ends before, what
                there is.
            since_last_save: Begin where the save before ends, instead of ``last_s`` ago, without
                overlap or gap; the first one begins with the recording.

        Returns:
            What is in the file. Its times count from the file's first sample, its totals from the
            start of the recording.

        Raises:
            ConfigurationError: A number or the path cannot be (SuffixError: the suffix is not the
                recording's).
            StateError: Nothing is being recorded, or there is nothing to save, or 16 are under way.
            FileError: It cannot be saved (OpenFileError: not even created). Nothing is left
                behind, the recording is unharmed, and it can be tried again.
        """
        asked = checked_request(
            self.config,
            file_path,
            last_s=last_s,
            then_s=then_s,
            since_last_save=since_last_save,
            at=self.path,
        )
        run = self._running_run("save")
        return await asyncio.wrap_future(run.saves.begin(asked, run.file_ns).outcome)

    async def promote(self, file_path: str | os.PathLike[str] | None = None) -> Path:
        """Something is happening now: make a cyclic recording a live one, that begins with all that
        the ring holds and goes on without a seam.

        Its stems turn with it. PROMOTED or PROMOTE_FAILED tells the end of it. Up to that moment
        the recording is cyclic, and a crash leaves its ring. Whoever waits may give up: it is done
        all the same.

        Args:
            file_path: Where to, in the format of the recording; None is where it was to go. What
                stands there is moved aside.

        Returns:
            Where it goes now.

        Raises:
            ConfigurationError: The path cannot be (SuffixError: the suffix is not the recording's).
            StateError: Nothing is being recorded, or it is live already, or about to change.
            FileError: It cannot be done (OpenFileError: the file cannot be created). The recording
                is cyclic as before, and it can be tried again.
        """
        path = self.config.path if file_path is None else checked_path(self.config, file_path)
        run = self._running_run("promote")
        return await asyncio.wrap_future(run.parts.promote(path))

    async def demote(self, cycle_time: int | None = None) -> RecordingReport:
        """It is over: finish the live file, which is one of its own then, and keep only the last
        seconds from now on, for the path of the configuration.

        The moment of the call counts (in a WAV to a tenth of a second, in AAC to a frame). The ring
        begins anew then: no sample is in both, and none is missing between them. DEMOTED or
        DEMOTE_FAILED tells of it, about a second later, and PART_FINISHED when the file and its
        stems are complete.

        Args:
            cycle_time: How many seconds to keep: 10, 60, 360 or 900; None is what the recording
                began with.

        Returns:
            What is in the file that was finished.

        Raises:
            ConfigurationError: There is no such cycle, or the recording is split.
            StateError: Nothing is being recorded, or it is cyclic already, or about to change.
            FileError: It cannot be done (OpenFileError: there is no room for the ring), and the
                recording is live as before; or the file cannot be completed.
        """
        cycle_s = checked_cycle(self.config, cycle_time)
        run = self._running_run("demote")
        return await asyncio.wrap_future(run.parts.demote(self.config.path, cycle_s, run.file_ns))

    async def forget(self, name: str, *, by: str = "") -> Forgotten:
        """Keep a participant's voice out from now on, as :meth:`exclude` does, and remove it from
        what a cyclic recording holds, from all that waits for the disk, and from what is being
        saved, or will be. When this has returned, that is on the disk.

        A voice cannot be taken out of a mix: wherever it was heard, there is silence, also in place
        of who spoke at the same time. What is in a live file, a stem or a part that is complete
        stays as it is; the answer says where. What is about to become live fails, with
        PROMOTE_FAILED, and can be tried again. Any number of times, at any time; before the start
        it is an :meth:`exclude`. Whoever waits may give up: it is done all the same.

        Args:
            name, by: See :meth:`exclude`.

        Raises:
            ValueError: As :meth:`exclude`.
            StateError: The recording is over, or ended meanwhile.
            FileError: The disk does not take it: some of the voice may still be there. The
                recording goes on, and it can be tried again.
        """
        if self.over:
            raise StateError("the recording is over; nothing of it can be forgotten any more")
        self._decide(ActKind.FORGOTTEN, name, by)
        if self._run is None:
            return Forgotten(0.0, ())
        run = self._running_run("forget")
        return await run.forget(partial(self._discretion.concerns, name)).done()

    def _decide(
        self,
        kind: ActKind,
        who: str,
        by: str,
        *,
        stand_in: StandIn = StandIn.SILENCE,
        mode: PauseMode = PauseMode.SILENCE,
    ) -> None:
        cuts = self._session.pauses.cuts
        super()._decide(kind, who, by, stand_in=stand_in, mode=mode)
        if self._run is not None and self._session.pauses.cuts != cuts:
            self._run.note_cuts()

    def mark(self, label: str, at: float | None = None) -> Mark:
        """Give a moment a name of at most 200 characters, in the report and in a WAV file: now, or
        ``at`` so many seconds from START, up to now (:attr:`duration_s`). Returns it.

        Raises:
            ValueError: The label or the moment is none.
            StateError: Nothing is being recorded, or there are a thousand marks.
        """
        if self._run is None or not self.recording:
            raise StateError("nothing is being recorded that could be marked")
        return self._run.marks.add(label, at, self._run.now_ns)

    def warn(self, code: AudioRecordingWarning, detail: str) -> None:
        """Tell of what the recorder cannot know itself, in an event and in the report: of somebody
        who is no source of it, above all. On the event loop's thread."""
        self._events.warn(self.duration_s, code, detail)

    def _running_run(self, doing: str) -> Run:
        run = self._own_run(doing)
        if not self.recording:
            raise StateError(f"nothing is being recorded, so there is nothing to {doing}")
        return run

    def _own_run(self, doing: str) -> Run:
        run = self._run
        if run is None:
            raise StateError(f"nothing is being recorded: start() comes before {doing}()")
        if run.pid != os.getpid():
            raise StateError(
                f"{self.path} is being recorded by process {run.pid}, which this one was forked "
                f"from: {doing} it there"
            )
        return run
