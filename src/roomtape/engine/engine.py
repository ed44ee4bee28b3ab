"""The engine: the shape of the NERTC SDK over a room and a recorder.

Calls return integer codes and never raise for what a user can do wrong; what happens is told to
one callback object. Everything belongs to one event loop. Calls that are made at the same time are
done one after the other, in the order in which they were made.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from ..media.beeping import Beeper
from ..media.local_audio import LocalAudio
from ..recording.events import call_listener
from ..recording.recorder import AudioRecorder
from ..rooms.base import Room
from ..storage.disk import Disk
from ..storage.naming import one_place
from ..types import (
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingQuality,
    AudioRecordingWarning,
    Consent,
    ErrorCode,
    RecordingEvent,
    RecordingReport,
)
from ..types.clock import SYSTEM_CLOCK, Clock
from ..types.errors import (
    ConfigurationError,
    FileError,
    MissingExtraError,
    OpenFileError,
    RoomtapeError,
    SuffixError,
)
from .callback import ChannelEventCallback
from .publishing import Publishing, local_of
from .running import RunningRecording
from .stay import Stay

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack


class RtcEngine(RunningRecording):
    """Joins a room, and records it.

    Args:
        room: How to reach rooms: :class:`~roomtape.rooms.WebRtcRoom`, ...
        clock, disk: Where time comes from, and where files go.
    """

    def __init__(self, room: Room, *, clock: Clock | None = None, disk: Disk | None = None) -> None:
        super().__init__()
        self._room = room
        self._clock = clock or SYSTEM_CLOCK
        self._disk = disk or Disk()
        self._callback = ChannelEventCallback()
        self._turn = asyncio.Lock()  # one call at a time
        self._publishing = Publishing(room, self._clock)
        self._stay: Stay | None = None
        self._released = False
        self._recorder: AudioRecorder | None = None
        self._report: RecordingReport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_error = ""
        """Why the last call did not return OK, in words."""

    async def __aenter__(self) -> RtcEngine:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.release()

    # -- the room -----------------------------------------------------------------------------

    def set_event_callback(self, callback: ChannelEventCallback | None) -> ErrorCode:
        """Tell ``callback`` what happens from now on; None for nobody."""
        if self._released:
            return self._refuse(ErrorCode.INVALID_STATE, "the engine was released")
        self._callback = callback or ChannelEventCallback()
        return ErrorCode.OK

    async def set_local_audio(self, track: MediaStreamTrack | LocalAudio | None) -> ErrorCode:
        """Publish ``track`` from now on, before or after joining; None publishes nothing.

        Returns:
            OK; INVALID_PARAM if it is no audio; INVALID_STATE after release.
        """
        if self._released:
            return self._refuse(ErrorCode.INVALID_STATE, "the engine was released")
        try:
            local = local_of(track)
        except ConfigurationError as error:
            return self._refuse(ErrorCode.INVALID_PARAM, str(error))
        async with self._turn:
            await self._publishing.set_local(local, self._stay)
        return ErrorCode.OK

    async def mute_local_audio(self, mute: bool) -> ErrorCode:
        """Publish (and record) silence instead of the local audio, and say so to the others."""
        local = self._publishing.local
        if self._released or local is None:
            return self._refuse(ErrorCode.INVALID_STATE, "there is no local audio")
        local.muted = mute
        if self._joined:
            await self._room.set_muted(self._publishing.muted)
        return ErrorCode.OK

    async def set_local_consent(self, agrees: bool) -> ErrorCode:
        """Tell the others, where the room can, whether the local user agrees that they record it.

        Returns:
            OK; ROOM_NOT_JOINED; INVALID_STATE after release.
        """
        if self._released:
            return self._refuse(ErrorCode.INVALID_STATE, "the engine was released")
        if not self._joined:
            return self._refuse(ErrorCode.ROOM_NOT_JOINED, "no room is joined")
        await self._room.say_consent(bool(agrees))
        return ErrorCode.OK

    async def join_channel(self, token: str | None, channel: str, uid: str) -> ErrorCode:
        """Join ``channel`` as ``uid``.

        Returns:
            OK; ROOM_ALREADY_JOINED; INVALID_PARAM for an empty name; INVALID_STATE after release;
            FATAL if the room cannot be joined (:attr:`last_error` says why).
        """
        async with self._turn:
            return await self._join(token, channel, uid)

    async def leave_channel(self) -> ErrorCode:
        """Leave the room; a running recording is finished first.

        Returns:
            OK; ROOM_NOT_JOINED; INVALID_STATE after release.
        """
        async with self._turn:
            return await self._leave()

    async def release(self) -> ErrorCode:
        """Leave, finish and close everything. Nothing works afterwards."""
        async with self._turn:
            if self._released:
                return self._refuse(ErrorCode.INVALID_STATE, "the engine was released")
            await self._end_lost(self._stay)
            await self._leave()
            self._released = True
            return ErrorCode.OK

    # -- the recording ------------------------------------------------------------------------

    async def start_audio_recording(
        self,
        file_path: str,
        sample_rate: int = 32000,
        quality: AudioRecordingQuality | int = AudioRecordingQuality.MEDIUM,
    ) -> ErrorCode:
        """Record everybody to ``file_path``, live.

        Returns:
            As :meth:`start_audio_recording_with_config`.
        """
        return await self.start_audio_recording_with_config(
            AudioRecordingConfiguration(file_path, sample_rate=sample_rate, quality=quality)
        )

    async def start_audio_recording_with_config(
        self, config: AudioRecordingConfiguration
    ) -> ErrorCode:
        """Record the room as ``config`` says. A running recording is finished first, but only if
        the new one can start.

        Returns:
            OK (START is delivered); INVALID_STATE after release; ROOM_NOT_JOINED; INVALID_PARAM
            (and ERROR_SUFFIX if it is the suffix), also for a key to sign with that cannot be
            used; FATAL if the file cannot be created (OPEN_FILE_FAILED). :attr:`last_error` says
            why in words.
        """
        async with self._turn:
            return await self._start_recording(config)

    async def stop_audio_recording(self) -> ErrorCode:
        """Finish the running recording.

        Returns:
            OK (FINISH is delivered); INVALID_STATE if none runs or after release; ROOM_NOT_JOINED;
            FATAL if the file cannot be completed (ERROR is delivered).
        """
        async with self._turn:
            recorder = self._running()
            return recorder if isinstance(recorder, ErrorCode) else await self._finish_recording()

    @property
    def last_recording_report(self) -> RecordingReport | None:
        """What the last recording that ended holds and lacks; None before the first."""
        return self._report

    @property
    def recorder(self) -> AudioRecorder | None:
        """The running recording, for meters and the like; None if none runs."""
        return self._recorder

    # -- inside -------------------------------------------------------------------------------

    @property
    def _joined(self) -> bool:
        return self._stay is not None and self._stay.going_on

    def _running(self) -> AudioRecorder | ErrorCode:
        """The running recording, or why there is none."""
        if self._released:
            return self._refuse(ErrorCode.INVALID_STATE, "the engine was released")
        if not self._joined:
            return self._refuse(ErrorCode.ROOM_NOT_JOINED, "no room is joined")
        if self._recorder is None:
            return self._refuse(ErrorCode.INVALID_STATE, "nothing is being recorded")
        self._room.hand_out_waiting()  # it came before what is asked for
        return self._recorder

    async def _join(self, token: str | None, channel: str, uid: str) -> ErrorCode:
        if self._released:
            return self._refuse(ErrorCode.INVALID_STATE, "the engine was released")
        if self._joined:
            return self._refuse(ErrorCode.ROOM_ALREADY_JOINED, "a room is joined already")
        if not channel or not uid:
            return self._refuse(ErrorCode.INVALID_PARAM, "channel and uid must not be empty")
        # A stay that was lost a moment ago may not be cleared up yet.
        await self._end_lost(self._stay)
        stay = Stay(
            uid,
            tell=self._tell,
            on_local_muted=self._local_muted,
            on_lost=lambda lost: self._spawn(self._finish_lost(lost)),
        )
        try:
            await self._room.join(
                token=token,
                channel=channel,
                uid=uid,
                listener=stay,
                local_audio=self._publishing.published,
            )
        except RoomtapeError as error:
            await stay.end()
            return self._refuse(ErrorCode.FATAL, str(error))
        self._stay = stay
        self._publishing.publish_in(stay)
        return ErrorCode.OK

    async def _leave(self) -> ErrorCode:
        if self._released:
            return self._refuse(ErrorCode.INVALID_STATE, "the engine was released")
        stay = self._stay
        if stay is None or stay.lost:
            return self._refuse(ErrorCode.ROOM_NOT_JOINED, "no room is joined")
        # Each step can be done twice: a call that is cancelled half-way is made again.
        await self._finish_recording()
        await stay.end()
        await self._room.leave()
        self._stay = None
        return ErrorCode.OK

    async def _end_lost(self, stay: Stay | None) -> None:
        """Finish what hangs on a room that was lost, and tell of it; needs the turn. Does nothing
        if that was done, or where nothing was lost."""
        if stay is None or stay is not self._stay or not stay.lost:
            return
        await self._finish_recording()
        await stay.end()
        self._stay = None
        self._tell(lambda to: to.on_disconnect(stay.lost))

    async def _finish_lost(self, stay: Stay) -> None:
        async with self._turn:
            await self._end_lost(stay)

    async def _start_recording(self, config: AudioRecordingConfiguration) -> ErrorCode:
        if self._released:
            return self._refuse(ErrorCode.INVALID_STATE, "the engine was released")
        stay = self._stay
        if stay is None or not stay.going_on:
            return self._refuse(ErrorCode.ROOM_NOT_JOINED, "join a room before recording it")
        try:
            beep_s = self._publishing.beep_of(config)
            recorder = AudioRecorder(
                dataclasses.replace(config, beep_s=None),
                on_event=lambda event: self._on_event(stay, recorder, event),
                clock=self._clock,
                disk=self._disk,
            )
        except ConfigurationError as error:
            if isinstance(error, SuffixError):
                self._tell_recording(AudioRecordingCode.ERROR_SUFFIX, str(config.path))
            return self._refuse(ErrorCode.INVALID_PARAM, str(error))
        running = self._recorder
        try:
            # What can fail comes first; but only a complete file of the same name is moved aside.
            take_name = running is not None and not one_place(running.path, recorder.path)
            await recorder.prepare(take_name=take_name)
            await self._finish_recording()
            if not stay.going_on:
                await recorder.discard()
                return self._refuse(ErrorCode.ROOM_NOT_JOINED, "the room was lost meanwhile")
            if beep_s is not None:
                await self._publishing.beep(Beeper(beep_s, lambda: recorder.paused), stay)
            stay.members.enter(recorder)
            await recorder.begin()
        except OpenFileError as error:
            stay.members.leave_recording(recorder)
            await self._say_recording()
            self._tell_recording(AudioRecordingCode.OPEN_FILE_FAILED, str(recorder.path))
            return self._refuse(ErrorCode.FATAL, str(error))
        except (ConfigurationError, MissingExtraError) as error:  # the key to sign with
            return self._refuse(ErrorCode.INVALID_PARAM, str(error))
        except BaseException:
            stay.members.leave_recording(recorder)
            self._publishing.stop_beeping()
            self._spawn(self._say_in_turn())
            await recorder.discard()
            raise
        await self._say_recording()
        return ErrorCode.OK

    async def _finish_recording(self) -> ErrorCode:
        if self._recorder is None:
            return ErrorCode.OK
        self._room.hand_out_waiting()
        try:
            await self._recorder.stop()
        except FileError as error:
            return self._refuse(ErrorCode.FATAL, str(error))
        finally:
            await self._say_recording()
        return ErrorCode.OK

    async def _say_recording(self) -> None:
        recorder = self._recorder
        if recorder is None:
            await self._publishing.beep(None, self._stay)
        if self._joined:
            asks = recorder is not None and recorder.config.consent is Consent.REQUIRED
            await self._room.ask_consent(asks)
            await self._room.set_recording(recorder is not None)

    async def _say_in_turn(self) -> None:
        async with self._turn:
            await self._say_recording()

    def _local_muted(self, stay: Stay, muted: bool) -> None:
        if stay is self._stay and stay.going_on:
            self._spawn(self._room.set_muted(muted and self._publishing.muted))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        try:
            task = asyncio.get_running_loop().create_task(work)
        except RuntimeError:  # the event loop has ended, and the room with it
            work.close()
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_event(self, stay: Stay, recorder: AudioRecorder, event: RecordingEvent) -> None:
        code, detail = event.code, event.detail
        if code is AudioRecordingCode.START:
            self._recorder = recorder
        self._part_report = recorder.last_part or self._part_report
        if recorder.over:
            self._report = recorder.report
            stay.members.leave_recording(recorder)
            if self._recorder is recorder:
                self._recorder = None
                self._publishing.stop_beeping()
                self._spawn(self._say_in_turn())
        if isinstance(code, AudioRecordingWarning):
            self._tell(lambda to: to.on_audio_recording_warning(code, detail))
            return
        if code is AudioRecordingCode.ERROR:
            self.last_error = detail
        self._tell_recording(code, event.file_path)

    def _tell_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        self._tell(lambda to: to.on_audio_recording(code, file_path))

    def _tell(self, call: Callable[[ChannelEventCallback], object]) -> None:
        call_listener(call, self._callback)

    def _refuse(self, code: ErrorCode, why: str) -> ErrorCode:
        self.last_error = why
        return code
