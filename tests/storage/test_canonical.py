"""The canonical form of JSON, after RFC 8785 and its own examples."""

from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.storage.proof.canonical import canonical_json
from support.examples import examples


@pytest.mark.parametrize(
    ("bits", "text"),
    [  # RFC 8785, appendix B
        (0x0000000000000000, "0"),
        (0x8000000000000000, "0"),
        (0x0000000000000001, "5e-324"),
        (0x8000000000000001, "-5e-324"),
        (0x7FEFFFFFFFFFFFFF, "1.7976931348623157e+308"),
        (0x4340000000000000, "9007199254740992"),
        (0xC340000000000000, "-9007199254740992"),
        (0x4430000000000000, "295147905179352830000"),
        (0x44B52D02C7E14AF5, "9.999999999999997e+22"),
        (0x44B52D02C7E14AF6, "1e+23"),
        (0x44B52D02C7E14AF7, "1.0000000000000001e+23"),
        (0x444B1AE4D6E2EF4E, "999999999999999700000"),
        (0x444B1AE4D6E2EF4F, "999999999999999900000"),
        (0x444B1AE4D6E2EF50, "1e+21"),
        (0x3EB0C6F7A0B5ED8C, "9.999999999999997e-7"),
        (0x3EB0C6F7A0B5ED8D, "0.000001"),
        (0x41B3DE4355555553, "333333333.3333332"),
        (0x41B3DE4355555557, "333333333.33333343"),
        (0xBECBF647612F3696, "-0.0000033333333333333333"),
        (0x43143FF3C1CB0959, "1424953923781206.2"),
    ],
)
def test_numbers_are_printed_as_ecmascript_does(bits: int, text: str):
    (number,) = struct.unpack(">d", struct.pack(">Q", bits))
    assert canonical_json(number) == text.encode()


def test_keys_are_in_the_order_of_their_utf_16_units_and_texts_hardly_escaped():
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"]
    assert list(json.loads(canonical_json(dict.fromkeys(keys, 0)))) == [
        *("\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33")
    ]
    text = '\u20ac$\x0f\nA\'B"\\"/\x7f'
    assert canonical_json([text, None, True, 5]) == (
        '["€$\\u000f\\nA\'B\\"\\\\\\"/\x7f",null,true,5]'.encode()
    )


def test_what_has_no_such_form_is_refused():
    for value in (math.inf, math.nan, 10**400, {1, 2}, [b""], {"a": object()}):
        with pytest.raises(ValueError, match=r"canonical form|no JSON value"):
            canonical_json(value)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 53), 1 << 53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)), inner),
    max_leaves=10,
)


@examples(100)
@given(_VALUES)
def test_whoever_writes_the_same_anew_gets_the_same_form(value: object):
    form = canonical_json(value)
    assert canonical_json(json.loads(form)) == form
    assert canonical_json(json.loads(json.dumps(value, indent=1))) == form
