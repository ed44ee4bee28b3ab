"""``roomtape serve`` in a process of its own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from .program import start_roomtape


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running server on a free port, and its URL; killed if it still runs in the end."""
    with start_roomtape("serve", "--port", "0", *arguments) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"serving rooms on (http://\S+)\n", line)
            assert found, line
            yield process, found[1]
        finally:
            process.kill()
