"""One form for a JSON value, to the byte, however it was written: RFC 8785 (JCS).

Keys in the order of their UTF-16 code units, no white space, numbers as ECMAScript prints them. In
one thing it goes further: half characters (lone surrogates), which stand for bytes in a file name
that are no text and which the RFC forbids, are JSON escapes.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

_HALVES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")


def canonical_json(value: Any) -> bytes:
    """``value`` in canonical form, as UTF-8.

    Args:
        value: As ``json.loads`` gives it.

    Raises:
        ValueError: It has no such form: an infinite number, or no JSON at all.
    """
    return escaped(_text(value)).encode()


def escaped(text: str) -> str:
    """JSON whose half characters are escapes, so that it can be UTF-8."""
    return _HALVES.sub(_whole_or_escaped, text)


def _whole_or_escaped(found: re.Match[str]) -> str:
    halves = found[0]
    if len(halves) == 2:  # whoever reads two escapes takes them for one character
        return halves.encode("utf-16-be", "surrogatepass").decode("utf-16-be")
    return f"\\u{ord(halves):04x}"


def _text(value: Any) -> str:
    match value:
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int() | float():
            return _number(value)
        case list() | tuple():
            return f"[{','.join(map(_text, value))}]"
        case dict():
            keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
            pairs = (f"{json.dumps(key, ensure_ascii=False)}:{_text(value[key])}" for key in keys)
            return f"{{{','.join(pairs)}}}"
    raise ValueError(f"{type(value).__name__} is no JSON value")


def _number(value: float) -> str:
    """As ECMAScript's Number::toString prints it (ECMA-262, 6.1.6.1.20)."""
    if isinstance(value, int):
        try:
            value = float(value)  # which is what every number in JSON is to ECMAScript
        except OverflowError:
            value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"{value} has no canonical form")
    if value == 0:
        return "0"
    # Python and ECMAScript agree on the digits: the fewest that give the same number back.
    sign, parts, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, parts))
    point = len(digits) + exponent  # how many of them stand before the point
    if len(digits) <= point <= 21:
        text = digits.ljust(point, "0")
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        text = f"{mantissa}e{point - 1:+d}"
    return f"-{text}" if sign else text
