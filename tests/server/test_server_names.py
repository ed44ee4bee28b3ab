"""server/names.py: how names look."""

from __future__ import annotations

import pytest

from roomtape.server.names import flaw, look, normal
from support.room_attack import join
from support.serving import serving


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "爱丽丝",
        "<b>bob</b>",
        "a b",
        "👩‍🚀",
        "❤️",
        "می‌خواهم",
        "e\u0301",
        "ก็",
        "7",
        "?!",
        "Đặng Thị Ái",
    ],
)
def test_a_name_may_be_odd(name: str) -> None:
    assert flaw(normal(name)) is None


@pytest.mark.parametrize(
    "name",
    [
        "\u200d",
        "\u200c\u200d",
        "\u3164",
        "\u2800",
        "\u115f\u1160",
        "\uffa0",
        "\ufe0f",
        "\u0301",
        "\u180b",
        "\u034f",
        "a\U00016fe4",
        "a\u3164",
        "bob\u2800",
        "a\u00adb",
        "a\u200bb",
        "a\u2060b",
        "\u202ebob",
        "a\u00a0b",
        "a\u3000b",
        "a\U000e0041",
        "Z" + "\u0301\u0302" * 9,
        " a",
        "a ",
        "a\tb",
    ],
)
def test_a_name_may_not_look_like_nothing_or_hide_something(name: str) -> None:
    assert flaw(normal(name))


@pytest.mark.parametrize(
    "twin",
    [
        "rec\u200dorder",
        "recorder\ufe0f",
        "re\U000e0100cord\ufe00er",
        "r\u0435corder",
        "rec\u043erder",
        "rec\u03bfrder",
        "ｒecorder",
        "𝐫𝐞𝐜𝐨𝐫𝐝𝐞𝐫",
        "reⅽorder",
        "Recorder",
        "RECORDER",
    ],
)
def test_a_twin_looks_the_same(twin: str) -> None:
    assert look(normal(twin)) == look("recorder")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "AIice"),
        ("p1", "pl"),
        ("room 0", "room O"),
        ("сосо", "coco"),
        ("a b", "a  b"),
        ("👩‍🚀", "👩🚀"),
    ],
)
def test_these_look_the_same(one: str, other: str) -> None:
    assert look(normal(one)) == look(normal(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "bob"),
        ("guest 1", "guest 2"),
        ("guest 1", "guest 11"),
        ("爱丽丝", "爱丽"),
        ("é", "e"),
        ("recorder", "recorder 2"),
    ],
)
def test_these_do_not(one: str, other: str) -> None:
    assert look(normal(one)) != look(normal(other))


async def test_nobody_has_a_twin_in_a_room() -> None:
    import aiohttp

    with serving() as (_, url):
        async with aiohttp.ClientSession() as http:
            first = await join(http, url, "recorder")
            composed = await join(http, url, "Zoe\u0308")
            assert composed.welcome["uid"] == "Zo\u00eb"
            for uid, like in (("rec\u043erder", "recorder"), ("zo\u00eb", "Zo\u00eb")):
                with pytest.raises(AssertionError, match=f"looks like '{like}'"):
                    await join(http, url, uid)
            with pytest.raises(AssertionError, match="name_taken"):
                await join(http, url, "Zo\u00eb")
            await join(http, url, "rec\u043erder", room="another")
            await composed.say(type="offer", to="recorder", call="c", sdp="v=0")
            assert (await first.until("offer"))["from"] == "Zo\u00eb"
            await first.say(type="answer", to="Zoe\u0308", call="c", sdp="v=0")
            assert (await composed.until("answer"))["from"] == "recorder"
