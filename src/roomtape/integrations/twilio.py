"""Calls of Twilio Media Streams: show it each message of the WebSocket, in both directions.

What a message has is in Twilio's documentation ("Media Streams - WebSocket Messages"). Audio is
mu-law of 8000 Hz in base64; timestamps are milliseconds from the start of the stream.

* ``<Start><Stream track="both_tracks">`` sends both sides: they are recorded as they come.
* ``<Connect><Stream>`` sends the caller alone. It plays what the program sends, however fast that
  comes, at the pace of speech; ``clear`` withdraws what was not played. So is it recorded.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

from ..media.g711 import g711
from ..recording.recorder import AudioRecorder
from ..recording.sources.playout import PlayoutSource
from ..recording.sources.source import Source
from ..types.errors import StateError

logger = logging.getLogger(__name__)

Message = str | bytes | Mapping[str, Any]
"""One message of the WebSocket: JSON, or what was made of it."""

_RATE_HZ = 8000
_STAMPS_PER_S = 1000
_MOST_PAYLOAD = 1 << 20
"""Characters of base64 in one message: more than a minute of speech, where Twilio sends 20 ms."""
_MOST_MARKS = 1000
_ODD = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, StateError)
"""What a message can make raise that is not what it should be, or that comes too late."""


class TwilioCall:
    """One stream. Everything belongs to one thread.

    Nothing raises for what Twilio or the program sends: what cannot be understood is left out, and
    the first of it is logged.

    Args:
        recorder: Where both sides go; it is started and stopped by whoever made it.
        caller, bot: Their names in the report. The bot is the local side.
    """

    def __init__(
        self, recorder: AudioRecorder, *, caller: str = "caller", bot: str = "bot"
    ) -> None:
        self._recorder = recorder
        self._caller_name = caller
        self._bot_name = bot
        self._sides: dict[str, Source] = {}  # of what is received, by Twilio's name for the track
        self._bot: PlayoutSource | None = None  # of what is sent
        self.stream_sid = ""
        """Which stream it is, for the messages to it; empty before it has started."""
        self.marks: deque[tuple[str, float]] = deque(maxlen=_MOST_MARKS)
        """The latest marks that came back, and at which second of the recording: Twilio has played,
        or cleared, what was sent before each."""
        self.left_out = 0
        """Messages that were not understood."""

    def received(self, message: Message) -> str:
        """Take in a message from Twilio.

        Returns:
            Its event: "start", "media", "mark", "stop", ...; empty if it was not understood.
        """
        try:
            content = _content(message)
            event = str(content.get("event", ""))
            match event:
                case "start":
                    self._start(content)
                case "media":
                    self._hear(content["media"])
                case "mark":
                    self.marks.append((str(content["mark"]["name"]), self._recorder.duration_s))
                case "stop":
                    self.close()
        except _ODD as error:
            self._leave_out("from Twilio", error)
            return ""
        return event

    def sent(self, message: Message) -> Message:
        """Take in a message that is sent to Twilio at this moment, and give it back."""
        try:
            content = _content(message)
            if self._bot is not None and content.get("event") == "media":
                self._bot.push(_audio(content["media"]), _RATE_HZ)
            elif self._bot is not None and content.get("event") == "clear":
                self._bot.clear()
        except _ODD as error:
            self._leave_out("to Twilio", error)
        return message

    def close(self) -> None:
        """The call is over, and what the bot was still to say is not heard. Any number of times."""
        if self._bot is not None:
            self._bot.clear()
            self._bot.close()
        for side in self._sides.values():
            side.close()

    def _start(self, content: Mapping[str, Any]) -> None:
        start = content["start"]
        form = start["mediaFormat"]
        if (form["encoding"], int(form["sampleRate"]), int(form["channels"])) != (
            "audio/x-mulaw",
            _RATE_HZ,
            1,
        ):
            raise ValueError(f"the stream is {form}, and not mu-law of 8000 Hz")
        if self.stream_sid:
            raise ValueError("the stream has started already")
        self.stream_sid = str(start.get("streamSid") or content["streamSid"])
        tracks = start.get("tracks", ["inbound"])
        if "inbound" in tracks:
            self._sides["inbound"] = self._recorder.add_source(self._caller_name)
        if "outbound" in tracks:
            self._sides["outbound"] = self._recorder.add_source(
                self._bot_name, local=True, expects_silence=True
            )
        else:
            self._bot = self._recorder.add_playout(self._bot_name, local=True)

    def _hear(self, media: Mapping[str, Any]) -> None:
        side = self._sides[media.get("track", "inbound")]
        side.push(_audio(media), _RATE_HZ, int(media["timestamp"]), pts_rate=_STAMPS_PER_S)

    def _leave_out(self, where: str, error: Exception) -> None:
        self.left_out += 1
        if self.left_out == 1:
            logger.warning("a message %s is left out, and so may others be: %r", where, error)


def _content(message: Message) -> Mapping[str, Any]:
    content = message if isinstance(message, Mapping) else json.loads(message)
    if not isinstance(content, Mapping):
        raise ValueError(f"a message is {type(content).__name__}, and not an object")
    return content


def _audio(media: Mapping[str, Any]) -> Any:
    payload = media["payload"]
    if not isinstance(payload, str) or len(payload) > _MOST_PAYLOAD:
        raise ValueError("a payload is no base64 of at most a mebibyte")
    try:
        return g711(base64.b64decode(payload, validate=True), "mu")
    except binascii.Error as error:
        raise ValueError(f"a payload is no base64: {error}") from None
