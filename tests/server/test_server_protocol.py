"""server/protocol.py: what clients may say."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.server.protocol import Join, Leave, ProtocolError, Relay, State, parse

JOIN: dict[str, Any] = {"type": "join", "room": "standup", "uid": "alice", "session": "s1"}
OFFER: dict[str, Any] = {"type": "offer", "to": "bob", "call": "c1", "sdp": "v=0"}


def complaint(message: object) -> str:
    with pytest.raises(ProtocolError) as error:
        parse(message if isinstance(message, str) else json.dumps(message))
    return str(error.value)


def test_messages_are_understood() -> None:
    assert parse(json.dumps(JOIN)) == Join("standup", "alice", "s1", None, None, False, False)
    assert parse(json.dumps(OFFER)) == Relay("offer", "bob", "c1", {"sdp": "v=0"}, 3, 0)
    assert parse('{"type":"state","muted":true}') == State(True, None)
    answer = parse('{"type":"state","asks":true,"agrees":false}')
    assert answer == State(None, None, asks=True, agrees=False)
    assert parse('{"type":"leave"}') == Leave()
    end = {"type": "candidate", "to": "bob", "call": "c1", "candidate": None}
    assert parse(json.dumps(end)) == Relay("candidate", "bob", "c1", {"candidate": None}, 0, 0)


@pytest.mark.parametrize(
    "uid", ["爱丽丝", "<b>bob</b>", "o'neil", "a b", "x/y?z", "👩‍🚀", "می‌خواهم"]
)
def test_names_may_be_odd(uid: str) -> None:
    message = parse(json.dumps({**JOIN, "uid": uid}))
    assert isinstance(message, Join)
    assert message.uid == uid


@pytest.mark.parametrize(
    "uid", ["", " ", " a", "a\n", "a\0", "\u202eevil", "x" * 65, 7, None, ["a"], "\ud800"]
)
def test_names_may_not_be_empty_long_invisible_or_no_text(uid: object) -> None:
    assert '"uid"' in complaint({**JOIN, "uid": uid})


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ({}, '"type" is null'),
        ({"type": "dance"}, '"type" is "dance"'),
        ({"type": "x" * 1000}, "…"),
        ({"type": ["x" * 1000]}, "a list"),
        ({**JOIN, "muted": 1}, '"muted" is 1'),
        ({**JOIN, "session": None}, '"session"'),
        ({**JOIN, "resume": "r" * 65}, "at most 64"),
        ({**OFFER, "sdp": {}}, '"sdp"'),
        ({**OFFER, "call": ""}, '"call"'),
        ({**OFFER, "type": "candidate", "candidate": "x"}, '"candidate"'),
    ],
)
def test_a_bad_message_is_told_what_is_wrong_with_it(message: object, words: str) -> None:
    assert words in complaint(message)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    st.text(max_size=30)
    | st.builds(
        lambda kind, rest: json.dumps({**rest, "type": kind}),
        st.sampled_from(["join", "offer", "candidate", "state", "leave"]),
        st.dictionaries(
            st.sampled_from(["room", "uid", "session", "to", "call", "sdp", "muted", "candidate"]),
            json_values,
        ),
    )
)
def test_nothing_but_a_complaint_comes_of_garbage(text: str) -> None:
    with suppress(ProtocolError):
        parse(text)
