"""Calls of Pipecat bots: a processor that records both sides of a pipeline.

It stands behind ``transport.output()``, where audio passes when the transport has taken it. What
users say is recorded as it comes. What the bot says is heard at the pace of speech, however fast
the transport takes it; an interruption withdraws what was not heard.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

try:
    from pipecat.frames.frames import (
        BotStartedSpeakingFrame,
        CancelFrame,
        EndFrame,
        Frame,
        InputAudioRawFrame,
        InterruptionFrame,
        OutputAudioRawFrame,
        StartFrame,
        UserAudioRawFrame,
    )
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
except ModuleNotFoundError as error:
    from ..types.errors import MissingExtraError

    raise MissingExtraError("recording a Pipecat pipeline", error, "pipecat") from None

from ..recording.recorder import AudioRecorder
from ..recording.sources.playout import PlayoutSource
from ..recording.sources.source import Source
from ..types import (
    AudioRecordingConfiguration,
    AudioRecordingWarning,
    RecordingEvent,
    RecordingReport,
)
from ..types.errors import RoomtapeError, StateError

logger = logging.getLogger(__name__)

_MOST_USERS = 1000
_MOST_LINES = 100
_NOBODY_S = 10.0
"""As the recorder itself waits before it says that somebody sends nothing."""
_MOST_STILL_HEARD_S = 5.0
"""Behind the output, less than that waits; elsewhere, nobody's call may end later for it."""


class PipecatRecorder(FrameProcessor):  # type: ignore[misc]  # pipecat is not installed for mypy
    """Put it into a pipeline once, last or right behind ``transport.output()``.

    It records from the pipeline's start to its end (``EndFrame``, ``CancelFrame``, or its
    clean-up), however that comes, and also where one of them overtakes another. Nothing that goes
    wrong with the recording harms the call: an error goes upstream as an ``ErrorFrame``, and is in
    the log.

    Args:
        configuration: What to record, or the path of the file: then with its report beside it.
        user, bot: Their names in the report. The bot is the local side. Users whom a transport
            tells apart (``UserAudioRawFrame.user_id``) are called as there; what the bot says to
            one of several destinations (``transport_destination``), as the destination.
        on_event: As for :class:`roomtape.AudioRecorder`.
    """

    def __init__(
        self,
        configuration: AudioRecordingConfiguration | str | Path,
        *,
        user: str = "user",
        bot: str = "bot",
        on_event: Callable[[RecordingEvent], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(configuration, AudioRecordingConfiguration):
            configuration = AudioRecordingConfiguration(configuration, report=True)
        self.recorder = AudioRecorder(configuration, on_event=on_event)
        """For what else a recording can do: save, mark, further sources."""
        self._user_name = user
        self._bot_name = bot
        self._users: dict[str, Source] = {}
        self._lines: dict[str | None, _Line] = {}  # by destination; none unless it records
        self._refused = 0
        self._misplaced = False
        self._look: asyncio.TimerHandle | None = None

    @property
    def report(self) -> RecordingReport | None:
        """What was recorded; None before the end."""
        return self.recorder.report

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Record it, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self._start()
        elif self._lines and self.recorder.recording:  # a full disk ends it, and not the call
            try:
                self._take(frame, direction)
            except (ValueError, StateError) as error:  # no audio that can be taken, or just over
                self._refuse(error)
        if isinstance(frame, EndFrame):
            await self._stop(at_once=False)
        elif isinstance(frame, CancelFrame):
            await self._stop(at_once=True)
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """The pipeline is over, and ended in no other way."""
        await self._stop(at_once=True)
        await super().cleanup()

    async def _start(self) -> None:
        if self._lines or self.recorder.over:
            return
        try:
            await self.recorder.start()
            self._lines[None] = _Line(self.recorder.add_playout(self._bot_name, local=True))
        except RoomtapeError as error:
            await self._tell(error)
        else:
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(_NOBODY_S, self._look_for_users)

    async def _stop(self, *, at_once: bool) -> None:
        """What was handed to the listener is heard to its end, unless it was broken off: before or
        meanwhile, when this is called again from another task."""
        if not self._lines:
            return
        if self._look is not None:
            self._look.cancel()
        if at_once:
            for line in self._lines.values():
                line.playout.clear()
        else:
            heard = [line.playout.wait() for line in self._lines.values()]
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*heard), _MOST_STILL_HEARD_S)
        try:
            await self.recorder.stop()
        except RoomtapeError as error:
            if self._lines:
                self._lines = {}  # told once
                await self._tell(error)
        self._lines = {}

    def _take(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InputAudioRawFrame):
            source = self._source_of(frame)
            if source is not None:
                source.push(frame.audio, frame.sample_rate, channels=frame.num_channels)
        elif isinstance(frame, OutputAudioRawFrame):
            if direction is FrameDirection.DOWNSTREAM:
                line = self._line_to(frame.transport_destination)
                if line is not None:
                    line.say(frame)
        elif isinstance(frame, InterruptionFrame):
            # It is for one destination, as for the transport: usually for the one without a name.
            line = self._lines.get(frame.transport_destination)
            if line is not None:
                line.interrupt(frame)
        elif isinstance(frame, BotStartedSpeakingFrame) and direction is FrameDirection.UPSTREAM:
            # The transport tells both sides of it: this came from behind.
            self._say_that_it_is_misplaced()

    def _line_to(self, destination: str | None) -> _Line | None:
        if destination not in self._lines:
            if len(self._lines) >= _MOST_LINES:
                return None
            playout = self.recorder.add_playout(str(destination), local=True)
            self._lines[destination] = _Line(playout)
        return self._lines[destination]

    def _source_of(self, frame: InputAudioRawFrame) -> Source | None:
        name = frame.user_id if isinstance(frame, UserAudioRawFrame) else ""
        name = name or frame.transport_source or self._user_name
        if name not in self._users:
            if len(self._users) >= _MOST_USERS:
                return None
            self._users[name] = self.recorder.add_source(name)
        return self._users[name]

    def _look_for_users(self) -> None:
        if not self._users and self.recorder.recording:
            words = (
                f"no user was heard for {_NOBODY_S:g} s: nobody has joined, the recorder stands in "
                "front of transport.input(), or what is between them keeps audio for itself"
            )
            logger.warning("%s", words)
            self.recorder.warn(AudioRecordingWarning.NO_AUDIO, words)

    def _say_that_it_is_misplaced(self) -> None:
        if not self._misplaced:
            self._misplaced = True
            logger.warning(
                "the recorder stands in front of transport.output(), where it cannot know when "
                "the bot is heard: put it behind"
            )

    def _refuse(self, error: Exception) -> None:
        self._refused += 1
        if self._refused == 1:
            logger.warning("a frame is left out, and so may others be: %s", error)

    async def _tell(self, error: RoomtapeError) -> None:
        logger.error("the call is not recorded: %s", error)
        await self.push_error(f"the call is not recorded: {error}", exception=error)


class _Line:
    """What the bot says to one destination."""

    def __init__(self, playout: PlayoutSource) -> None:
        self.playout = playout
        self._interrupted = self._told = -1  # numbers of frames, which tell what was made first
        self._in_hand = False

    def say(self, frame: OutputAudioRawFrame) -> None:
        # A background is made when it is sent, also while an interruption is on its way to here.
        background = type(frame) is OutputAudioRawFrame
        if frame.id < (self._told if background else self._interrupted):
            # The transport passes on what it had in hand when it was interrupted. Who listens has
            # dropped that, even if it is uninterruptible; the rest of what is so waited behind it,
            # and is heard.
            in_hand, self._in_hand = self._in_hand, False
            if in_hand or frame.interruptible:
                return
        self.playout.push(frame.audio, frame.sample_rate, channels=frame.num_channels)

    def interrupt(self, frame: InterruptionFrame) -> None:
        self._interrupted, self._told = frame.id, Frame().id
        self._in_hand = True
        self.playout.clear()
