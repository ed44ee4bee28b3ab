"""What can be done with a recording while it runs: the part of an engine that needs no turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from ..recording import run  # noqa: F401 (else the first start in a call would wait for it)
from ..recording.recorder import AudioRecorder
from ..types import (
    AudioRecordingCode,
    AudioRecordingConfiguration,
    ErrorCode,
    Forgotten,
    PauseMode,
    RecordingReport,
)
from ..types.errors import RoomtapeError, StateError, SuffixError
from .codes import code_of


class RunningRecording(ABC):
    """Saves parts of the recording that runs, has it become live or cyclic, marks moments in it,
    and keeps voices out; an engine is one."""

    def __init__(self) -> None:
        self._save_report: RecordingReport | None = None
        self._part_report: RecordingReport | None = None
        self._forgotten: Forgotten | None = None

    @abstractmethod
    def _running(self) -> AudioRecorder | ErrorCode:
        """The running recording, or why there is none."""

    @abstractmethod
    def _refuse(self, code: ErrorCode, why: str) -> ErrorCode:
        """Remember why; gives ``code``."""

    @abstractmethod
    def _tell_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        """Tell the callback."""

    async def save_audio_recording(
        self,
        file_path: str,
        last_s: float = 30.0,
        then_s: float = 0.0,
        *,
        since_last_save: bool = False,
    ) -> ErrorCode:
        """Make the last seconds of the running recording a file of their own, while it goes on.

        See :meth:`~roomtape.AudioRecorder.save`. No other call of the engine waits for it.

        Returns:
            OK (SAVED is delivered, and :attr:`last_save_report` is there); INVALID_STATE if nothing
            is recorded or there is nothing to save, or after release; ROOM_NOT_JOINED;
            INVALID_PARAM (and ERROR_SUFFIX if the suffix is not the recording's); FATAL if it
            cannot be saved (SAVE_FAILED is delivered).
        """
        recorder = self._running()
        if isinstance(recorder, ErrorCode):
            return recorder
        try:
            self._save_report = await recorder.save(
                file_path, last_s=last_s, then_s=then_s, since_last_save=since_last_save
            )
        except RoomtapeError as error:
            return self._refused(error, file_path)
        return ErrorCode.OK

    @property
    def last_save_report(self) -> RecordingReport | None:
        """What the part that was saved last holds; None before the first."""
        return self._save_report

    async def promote_audio_recording(self, file_path: str | None = None) -> ErrorCode:
        """Make the running cyclic recording a live one, that begins with all that it holds: see
        :meth:`~roomtape.AudioRecorder.promote`. No other call of the engine waits for it.

        Returns:
            OK (PROMOTED is delivered); INVALID_STATE if nothing is recorded, or live already, or
            about to change, or after release; ROOM_NOT_JOINED; INVALID_PARAM (and ERROR_SUFFIX if
            the suffix is not the recording's); FATAL if it cannot be done (PROMOTE_FAILED is
            delivered, and the recording is cyclic as before).
        """
        recorder = self._running()
        if isinstance(recorder, ErrorCode):
            return recorder
        try:
            await recorder.promote(file_path)
        except RoomtapeError as error:
            return self._refused(error, file_path)
        return ErrorCode.OK

    async def demote_audio_recording(self, cycle_time: int | None = None) -> ErrorCode:
        """Finish the live file, and keep only the last seconds from now on: see
        :meth:`~roomtape.AudioRecorder.demote`. No other call of the engine waits for it.

        Returns:
            OK (DEMOTED and PART_FINISHED are delivered, and :attr:`last_part_report` is there);
            INVALID_STATE if nothing is recorded, or cyclic already, or about to change, or after
            release; ROOM_NOT_JOINED; INVALID_PARAM for a cycle that cannot be; FATAL if it cannot
            be done (DEMOTE_FAILED, and it is live as before), or the file cannot be completed
            (PART_FAILED).
        """
        recorder = self._running()
        if isinstance(recorder, ErrorCode):
            return recorder
        try:
            await recorder.demote(cycle_time)
        except RoomtapeError as error:
            return self._refused(error, None)
        return ErrorCode.OK

    @property
    def last_part_report(self) -> RecordingReport | None:
        """What the file holds that was finished last while the recording went on in another: of a
        split recording, or by :meth:`demote_audio_recording`. None before the first."""
        return self._part_report

    async def mark_audio_recording(self, label: str, at: float | None = None) -> ErrorCode:
        """Give a moment of the running recording a name: see :meth:`~roomtape.AudioRecorder.mark`.
        Waits for no other call of the engine.

        Returns:
            OK; INVALID_STATE if nothing is recorded, after a thousand marks, and after release;
            ROOM_NOT_JOINED; INVALID_PARAM for a label or a moment that is none.
        """
        recorder = self._running()
        if isinstance(recorder, ErrorCode):
            return recorder
        try:
            recorder.mark(label, at)
        except StateError as error:
            return self._refuse(ErrorCode.INVALID_STATE, str(error))
        except ValueError as error:
            return self._refuse(ErrorCode.INVALID_PARAM, str(error))
        return ErrorCode.OK

    async def exclude_participant(self, uid: str, *, by: str = "") -> ErrorCode:
        """Keep a participant's voice out of the running recording, from the next frame on: see
        :meth:`~roomtape.AudioRecorder.exclude`. It may come later. Waits for no other call.

        Returns:
            OK; INVALID_STATE if nothing is recorded, and after release; ROOM_NOT_JOINED;
            INVALID_PARAM for a name that is none.
        """
        return self._decide(lambda recorder: recorder.exclude(uid, by=by))

    async def include_participant(self, uid: str, *, by: str = "") -> ErrorCode:
        """Record it again. Returns the same as :meth:`exclude_participant`."""
        return self._decide(lambda recorder: recorder.include(uid, by=by))

    async def agree_participant(self, uid: str, *, by: str = "") -> ErrorCode:
        """It agrees to be recorded: see :meth:`~roomtape.AudioRecorder.agree`. (Where a room can
        ask, it does so itself.) Returns the same as :meth:`exclude_participant`."""
        return self._decide(lambda recorder: recorder.agree(uid, by=by))

    async def withdraw_participant(self, uid: str, *, by: str = "") -> ErrorCode:
        """It does not want to be recorded, or no longer: see
        :meth:`~roomtape.AudioRecorder.withdraw`. Returns the same as :meth:`exclude_participant`.
        """
        return self._decide(lambda recorder: recorder.withdraw(uid, by=by))

    async def forget_participant(self, uid: str, *, by: str = "") -> ErrorCode:
        """Keep it out, and remove its voice from what a cyclic recording holds and from all that is
        still to be written and saved: see :meth:`~roomtape.AudioRecorder.forget`. Waits for the
        disk, and for no other call.

        Returns:
            OK (:attr:`last_forgotten` says where the voice is still to be heard); FATAL if the disk
            does not take it, and it can be tried again; otherwise as :meth:`exclude_participant`.
        """
        recorder = self._running()
        if isinstance(recorder, ErrorCode):
            return recorder
        try:
            self._forgotten = await recorder.forget(uid, by=by)
        except ValueError as error:
            return self._refuse(ErrorCode.INVALID_PARAM, str(error))
        except RoomtapeError as error:
            return self._refused(error, None)
        return ErrorCode.OK

    @property
    def last_forgotten(self) -> Forgotten | None:
        """What became of the voice that was forgotten last; None before the first."""
        return self._forgotten

    async def mask_participant(self, uid: str, *, tone: bool = True, by: str = "") -> ErrorCode:
        """Put a quiet tone, or silence, in place of what it says: see
        :meth:`~roomtape.AudioRecorder.mask`. Returns the same as :meth:`exclude_participant`."""
        return self._decide(lambda recorder: recorder.mask(uid, tone=tone, by=by))

    async def unmask_participant(self, uid: str, *, by: str = "") -> ErrorCode:
        """Record it again. Returns the same as :meth:`exclude_participant`."""
        return self._decide(lambda recorder: recorder.unmask(uid, by=by))

    async def pause_audio_recording(
        self, mode: PauseMode | str = PauseMode.SILENCE, *, by: str = ""
    ) -> ErrorCode:
        """Record silence, or a tone, or nothing at all until :meth:`resume_audio_recording`: see
        :meth:`~roomtape.AudioRecorder.pause`. Returns the same as :meth:`exclude_participant`;
        INVALID_PARAM for a mode that is none, too, and INVALID_STATE after a thousand cuts."""
        return self._decide(lambda recorder: recorder.pause(mode, by=by))

    async def resume_audio_recording(self, *, by: str = "") -> ErrorCode:
        """Hear everybody again. Returns the same as :meth:`exclude_participant`."""
        return self._decide(lambda recorder: recorder.resume(by=by))

    def _decide(self, decide: Callable[[AudioRecorder], None]) -> ErrorCode:
        recorder = self._running()
        if isinstance(recorder, ErrorCode):
            return recorder
        try:
            decide(recorder)
        except StateError as error:
            return self._refuse(ErrorCode.INVALID_STATE, str(error))
        except ValueError as error:
            return self._refuse(ErrorCode.INVALID_PARAM, str(error))
        return ErrorCode.OK

    def _refused(self, error: RoomtapeError, file_path: str | None) -> ErrorCode:
        if isinstance(error, SuffixError) and file_path is not None:
            path = AudioRecordingConfiguration(file_path).path
            self._tell_recording(AudioRecordingCode.ERROR_SUFFIX, str(path))
        return self._refuse(code_of(error), str(error))
