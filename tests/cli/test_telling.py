"""What a running recording prints, and when it has nothing more to say."""

from __future__ import annotations

import asyncio
import signal

import pytest

from roomtape.cli.telling import make_teller
from roomtape.cli.termination import signals_that_end


@pytest.mark.parametrize("as_json", [False, True])
async def test_after_ctrl_c_nobody_left(capsys: pytest.CaptureFixture[str], as_json: bool):
    over = asyncio.Event()
    teller = make_teller(over, as_json=as_json, terminal=False)
    teller.on_user_joined("bob")
    teller.on_user_left("carol", "gone")
    over.set()  # the same Ctrl-C may end the others, or the server
    teller.on_user_left("bob", "gone")
    teller.on_user_joined("dave")
    said = capsys.readouterr().out
    assert said.count("bob") == 1
    assert "carol" in said
    assert "dave" not in said


def test_a_closed_terminal_ends_a_recording_but_for_nohup():
    assert signal.SIGHUP in signals_that_end()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signals_that_end() == (signal.SIGINT, signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)
