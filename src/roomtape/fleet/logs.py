"""What a worker logs: lines for people, or JSON for machines; never a token or a secret."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+(\.[\w-]*)?")
_FACTS = ("worker", "process", "room", "lease", "file", "other")
_SHORTEST_SECRET = 6


class LogFormat(StrEnum):
    """How lines look."""

    text = "text"
    json = "json"


class _Redacting(logging.Formatter):
    def __init__(self, secrets: Collection[str], worker: str) -> None:
        super().__init__()
        self._secrets = [each for each in secrets if len(each) >= _SHORTEST_SECRET]
        self._worker = worker

    def redacted(self, text: str) -> str:
        """``text`` without what nobody may read."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return _TOKEN.sub("[token]", text)

    def facts(self, record: logging.LogRecord) -> dict[str, Any]:
        """What belongs to the line beside its words."""
        there = {name: getattr(record, name) for name in _FACTS if hasattr(record, name)}
        return {"worker": self._worker, **there}

    @staticmethod
    def words(record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        message = record.getMessage()
        return message if error is None else f"{message}: {type(error).__name__}: {error}"


class _Text(_Redacting):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC)
        facts = " ".join(f"{name}={value}" for name, value in self.facts(record).items())
        line = f"{when:%H:%M:%S}.{when.microsecond // 1000:03d} {record.levelname.lower()}: "
        return self.redacted(" ".join(f"{line}{self.words(record)} ({facts})".split()))


class _Json(_Redacting):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.words(record),
            **self.facts(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return self.redacted(json.dumps(line, ensure_ascii=False, default=str))


def log_to_stderr(
    how: LogFormat, *, worker: str, secrets: Collection[str], debug: bool = False
) -> None:
    """Send what is logged to standard error, one line each.

    Args:
        how: Words, or JSON.
        worker: Its name, in every line.
        secrets: What must not be in any.
        debug: Whether decisions are logged with their numbers.
    """
    handler = logging.StreamHandler(sys.stderr)
    kind = _Json if how is LogFormat.json else _Text
    handler.setFormatter(kind(secrets, worker))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("roomtape").setLevel(logging.DEBUG if debug else logging.INFO)
