"""Room names are anybody's; folders are ours."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.fleet.files.names import (
    entry_name,
    folder_of,
    is_recording,
    is_report,
    recording_path,
)
from roomtape.storage.notes.journal import Journal
from support.examples import examples

ODD = [
    "",
    ".",
    "..",
    "...",
    "a/b",
    "/",
    "a\0b",
    "%",
    "%2F",
    "a%2Fb",
    "~",
    "a b",
    "a\nb",
    ".journal",
]
LONG = ["x" * 300, "x" * 301, "x" * 300 + "/", "会" * 100, "会" * 101, "." * 300]
ALIKE = ["é", "e\u0301", "한", "\u1112\u1161\u11ab", "Å", "\u212b", "room", "Room"]


@pytest.mark.parametrize("room", [*ODD, *LONG, *ALIKE])
def test_a_folder_is_one_name_that_leads_nowhere_else(room: str, tmp_path: Path):
    folder = folder_of(room)
    assert folder
    assert not folder.startswith(".")
    assert "/" not in folder
    assert "\0" not in folder
    assert len(folder.encode()) <= 200
    (tmp_path / folder).mkdir()
    assert [each.name for each in tmp_path.iterdir()] == [folder]


def test_no_two_rooms_share_a_folder():
    folders = [folder_of(room) for room in [*ODD, *LONG, *ALIKE]]
    assert len({*folders}) == len(folders)
    assert len({unicodedata.normalize("NFC", each) for each in folders}) == len(folders)


def test_names_that_are_harmless_stay_as_they_are():
    for room in ("standup", "call-42_b.2", "会议", "Übung"):
        assert folder_of(room) == room


@examples(200)
@given(st.lists(st.text(max_size=400), min_size=2, max_size=2, unique=True))
def test_whatever_two_rooms_are_called_their_folders_differ(rooms: list[str]):
    one, other = map(folder_of, rooms)
    assert one != other
    assert unicodedata.normalize("NFC", one) != unicodedata.normalize("NFC", other)
    for folder in (one, other):
        assert Path("/data") / folder == Path(f"/data/{folder}")
        assert (Path("/data") / folder).parent == Path("/data")
        assert folder not in (".", "..")


def test_a_recording_is_named_by_the_time_at_which_it_began():
    began = datetime(2026, 11, 26, 12, 15, 30, 123456, timezone(timedelta(hours=2)))
    path = recording_path(Path("/data"), "a/b", began)
    assert path == Path("/data/a%2Fb/20261126T101530.123Z.aac")
    assert is_recording(path.name)
    assert is_report(path.name + ".json")


@pytest.mark.parametrize("room", [*ODD, *LONG])
def test_an_entry_of_the_journal_has_a_name_that_a_file_can_have(room: str, tmp_path: Path):
    path = recording_path(tmp_path, room, datetime.now().astimezone())
    name = entry_name(path, "w" * 64, 2**63)
    Journal(tmp_path).enter(name, {}).close()
    others = {
        entry_name(path.parent.parent / folder_of(each) / path.name, "w" * 64, 2**63)
        for each in [*ODD, *LONG]
        if each != room
    }
    assert name not in others


@pytest.mark.parametrize(
    ("name", "recording", "report"),
    [
        ("20261126T101530.123Z.aac", True, False),
        ("20261126T101530.123Z.1.aac", True, False),  # what recovery moved aside
        ("20261126T101530.123Z.aac.json", False, True),
        ("20261126T101530.123Z.aac.1.json", False, True),
        ("20261126T101530.123Z.aac.txt", False, False),
        ("call.aac", False, False),
        ("20261126T101530.123Z.mp3", False, False),
        ("x20261126T101530.123Z.aac", False, False),
    ],
)
def test_only_our_own_files_are_known(name: str, recording: bool, report: bool):
    assert (is_recording(name), is_report(name)) == (recording, report)
