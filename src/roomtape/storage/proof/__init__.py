"""What shows that a recording and its report belong together: hashes, signatures, and checking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...types.errors import MissingExtraError


@contextmanager
def signatures() -> Iterator[None]:
    """Around an import of :mod:`.keys`, which needs a package that only signatures do.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError("a signature", error, "sign") from None
