"""The protocol's grammar, for hypothesis: what is right, what is nearly so, and what is garbage."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ODD_TEXT = st.sampled_from(
    [
        "",
        " ",
        "\0",
        "\ud800",
        "é",
        "e\u0301",
        "\u200d",
        "\u3164",
        "x" * 65,
        "x" * 70_000,
        "[" * 5000,
    ]
) | st.text(max_size=8)
NAMES = st.sampled_from(["alice", "bob", "mallory", "al\u200dice", "ALICE"]) | ODD_TEXT
CALLS = st.sampled_from(["c", "d"]) | ODD_TEXT
ODD_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ODD_TEXT
    | st.sampled_from([10**400, -1, 2**63]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=6,
)
CANDIDATE_LINE = "candidate:1 1 udp 2130706431 192.0.2.1 9 typ host"
SDP = st.sampled_from(
    [
        "v=0\r\n",
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n",
        "m=audio\r\n" * 9,
        f"v=0\r\na={CANDIDATE_LINE}\r\n" * 65,
        "m=\r\nm=\r\na=\r\n",
    ]
)
CANDIDATES = st.none() | st.fixed_dictionaries(
    {"candidate": st.sampled_from([CANDIDATE_LINE, "", "candidate:", "\ud800"])},
    optional={
        "sdpMid": st.sampled_from(["0", "", None]) | ODD_VALUES,
        "sdpMLineIndex": st.sampled_from([0, 7, 8, -1, True, 0.0]) | ODD_VALUES,
        "usernameFragment": ODD_VALUES,
    },
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "room": st.just("standup") | NAMES,
    "uid": NAMES,
    "session": ODD_TEXT,
    "token": ODD_VALUES,
    "resume": ODD_VALUES,
    "muted": st.booleans() | ODD_VALUES,
    "recording": st.booleans() | ODD_VALUES,
    "asks": st.booleans() | ODD_VALUES,
    "agrees": st.booleans() | ODD_VALUES,
    "to": NAMES,
    "from": NAMES,
    "call": CALLS | ODD_VALUES,
    "sdp": SDP | ODD_VALUES,
    "candidate": CANDIDATES | ODD_VALUES,
    "participant": ODD_VALUES,
    "reason": ODD_VALUES,
    "number": ODD_VALUES,
    "participants": ODD_VALUES,
    "ice_servers": ODD_VALUES,
    "message": ODD_VALUES,
    "code": ODD_VALUES,
}


def messages(right: dict[str, list[str]]) -> st.SearchStrategy[dict[str, Any]]:
    """Messages of the types ``right``, whose fields are right, odd, missing, or too many."""

    def of(kind: str) -> st.SearchStrategy[dict[str, Any]]:
        fields = {"type": st.just(kind), **{key: FIELDS[key] for key in right[kind]}}
        whole = st.fixed_dictionaries(fields)
        return whole | st.fixed_dictionaries({"type": st.just(kind)}, optional=FIELDS)

    return st.one_of([of(kind) for kind in right]) | st.fixed_dictionaries(
        {"type": ODD_VALUES}, optional=FIELDS
    )
