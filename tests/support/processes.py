"""Other processes that tests need, and their sure end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

SUPPORT = Path(__file__).parent


@asynccontextmanager
async def python_process(
    *arguments: str, ready: str, inside: Sequence[str] = ()
) -> AsyncIterator[subprocess.Popen[str]]:
    """Run ``python ARGUMENTS``, and go on when it has printed a line that begins with ``ready``.

    ``inside`` is a command that runs it, such as ``ip netns exec NAME``.

    It is ended, kindly at first, when the block is left; a test may do so earlier.
    """
    with subprocess.Popen(  # noqa: ASYNC220 (it starts within milliseconds)
        [*inside, sys.executable, "-u", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SUPPORT.parent)},
    ) as process:
        try:
            assert process.stdout is not None
            # The server it talks to may run on this very event loop.
            while not (line := await asyncio.to_thread(process.stdout.readline)).startswith(ready):
                assert line, f"{arguments} ended before it was ready"
            yield process
        finally:
            await asyncio.to_thread(stop, process)


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Give a process one line to read."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def stop(process: subprocess.Popen[str], *, within_s: float = 60.0) -> int:
    """End a process.

    Returns:
        Its exit code.
    """
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def kill(process: subprocess.Popen[str]) -> None:
    """End a process as a crash or the kernel would: it says no goodbye."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def descriptors() -> int:
    """How many this process has open, but for what is just being looked up in /proc: whoever
    measures the lag of the machine does that all the time, on a thread of its own."""
    count = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            count += not each.readlink().is_relative_to("/proc")
    return count
