"""rooms/webrtc/messages.py: what the server sends is a message, or nothing."""

from __future__ import annotations

import aiohttp
import pytest

from roomtape.rooms.webrtc.messages import parse


@pytest.mark.parametrize("text", ["[" * 30000, '{"a":' * 10000 + "1" + "}" * 10000, "", "7", "{"])
def test_what_is_no_message_is_none(text: str) -> None:
    assert parse(aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, text, None)) is None
