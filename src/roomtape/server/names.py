"""Names of participants and rooms: one form for each, none that looks like nothing, no twins.

Names are shown to people, who know each other by them. So what counts is how a name looks.
"""

from __future__ import annotations

import unicodedata

import disarm

_FILLERS = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U00016fe4\U0001d159"
)
"""What Python calls printable, and yet shows nothing: the default ignorable code points of Unicode
that are letters or marks, the empty Braille pattern, the Khitan filler, and the null note head."""
_JOINERS = frozenset("\u200c\u200d")
"""Zero-width joiners hold words of some scripts, and emoji, together."""
_VARIATIONS = frozenset(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
"""They choose between the forms of the character before, as in most emoji."""
_MAX_MARKS = 4
"""In a row; UTS 39, section 5.4. More of them reach into the lines around."""
_ALIKE = str.maketrans({"I": "l", "1": "l", "|": "l", "0": "o", "O": "o"})


def normal(name: str) -> str:
    """The one form of all that are written alike (NFC): é is one character, or two."""
    return unicodedata.normalize("NFC", name)


def flaw(name: str) -> str | None:
    """What is wrong with a name, to be put after it; None if it can be shown to people."""
    if name != name.strip():
        return "begins or ends with a space"
    bare = [char for char in name if char not in _JOINERS and char not in _VARIATIONS]
    if not "".join(bare).isprintable() or not _FILLERS.isdisjoint(bare):
        return "has control or invisible characters in it"
    if not any(unicodedata.category(char)[0] in "LNPS" for char in bare):
        return "looks like nothing: it has no letter, digit or sign in it"
    marks = 0
    for char in name:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if marks > _MAX_MARKS:
            return f"has more than {_MAX_MARKS} marks on one character"
    return None


def look(name: str) -> str:
    """Two names that give the same are too alike to be told apart (UTS 39, confusables).

    So are those that differ in upper and lower case only, or in what cannot be seen, and those
    in which I, l and 1, or O and 0, have changed places.
    """
    return disarm.skeleton_key(name.translate(_ALIKE))
