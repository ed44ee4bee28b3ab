"""The names of stems: whatever participants are called, a file of its own in the directory."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.storage.stems.names import stem_name
from roomtape.storage.stems.projects import ProjectTrack, audacity_list, reaper_project
from roomtape.types import AudioFormat
from support.examples import examples

CASES = {
    "bob": "001-bob.wav",
    "": "001-unnamed.wav",
    ".": "001-unnamed.wav",
    "..": "001-unnamed.wav",
    "/": "001-_.wav",
    "../../etc/passwd": "001-_.._etc_passwd.wav",
    "a\\b:c*d?e\"f<g>h|i'j`k": "001-a_b_c_d_e_f_g_h_i_j_k.wav",
    " spaces \t and\nlines ": "001-spaces  andlines.wav",
    "NUL\0byte": "001-NULbyte.wav",
    "con": "001-con.wav",
    "x" * 300: f"001-{'x' * 120}.wav",
    "é" * 300: f"001-{'é' * 60}.wav",
    "e\u0301": "001-é.wav",
    "卡罗尔": "001-卡罗尔.wav",
    "שלום": "001-שלום.wav",
    "\u202evaw.exe": "001-vaw.exe.wav",
    "a\u2066b\u2069c\u200e": "001-abc.wav",
    "\ud800half": "001-_half.wav",
    "👩\u200d👩\u200d👧": "001-👩👩👧.wav",
}


@pytest.mark.parametrize("participant", CASES)
def test_a_name_is_made_safe_and_stays_readable(participant: str):
    assert stem_name(1, participant, AudioFormat.WAV) == Path(CASES[participant])


def test_two_of_one_name_and_those_that_differ_in_case_have_two_files():
    names = ["bob", "bob", "Bob", "BOB"]
    made = [stem_name(at, name, AudioFormat.AAC).name for at, name in enumerate(names, 1)]
    assert made == ["001-bob.aac", "002-bob.aac", "003-Bob.aac", "004-BOB.aac"]
    assert len({name.casefold() for name in made}) == 4


@examples(300)
@given(
    number=st.integers(1, 10_000),
    participant=st.text(st.characters(codec=None), max_size=400),
)
def test_any_name_is_one_file_that_every_system_and_project_can_hold(number: int, participant: str):
    name = stem_name(number, participant, AudioFormat.WAV)
    text = str(name)
    assert name.name == text
    assert not name.is_absolute()
    assert text.startswith(f"{number:03d}-")
    assert text.endswith(".wav")
    assert len(text.encode()) <= 150
    assert all(unicodedata.category(char)[0] != "C" for char in text)
    assert not set(text) & set("/\\:*?\"<>|'`\n\0")
    tracks = [ProjectTrack(text, name.stem)]
    assert len(audacity_list(tracks, 1).splitlines()) == 2
    shape = reaper_project(tracks, 48000, 1.5)
    assert shape.count("\n") == 15
    lines = [line.strip() for line in shape.splitlines()]
    assert sum(line.startswith("<") for line in lines) == lines.count(">") == 4


def test_the_projects_name_each_file_at_second_zero():
    tracks = [ProjectTrack("001-a.wav", "001-a"), ProjectTrack("002-b.aac", "002-b")]
    assert audacity_list(tracks, 2.5) == (
        'window offset 0 duration 2.500\nfile "001-a.wav" offset 0\nfile "002-b.aac" offset 0\n'
    )
    project = reaper_project(tracks, 44100, 2.5)
    assert project.startswith("<REAPER_PROJECT ")
    assert project.count("POSITION 0\n") == project.count("LENGTH 2.500000\n") == 2
    assert '<SOURCE WAVE\n        FILE "001-a.wav"\n' in project
    assert '<SOURCE VIDEO\n        FILE "002-b.aac"\n' in project
