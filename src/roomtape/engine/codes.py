"""Errors as the codes of the SDK."""

from __future__ import annotations

from ..types import ErrorCode
from ..types.errors import ConfigurationError, RoomtapeError, StateError


def code_of(error: RoomtapeError) -> ErrorCode:
    """What a call of the engine returns for an error of the recorder."""
    match error:
        case ConfigurationError():
            return ErrorCode.INVALID_PARAM
        case StateError():
            return ErrorCode.INVALID_STATE
        case _:
            return ErrorCode.FATAL
