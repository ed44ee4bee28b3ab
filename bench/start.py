"""8. `from roomtape import AudioRecorder` in a fresh process, against importing NumPy and PyAV: CPU
time of the thread that imports. (Wall time says more about who else is on the machine.)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from common import PYTHON, Row, cost_of, in_turn

BAR = 1.2
OURS = "from roomtape import AudioRecorder"
PEER = "import numpy, av"
LEAST = "import numpy, av, soxr, asyncio"
"""What a recorder stands on, without a line of ours."""
ALL = f"{OURS}; import roomtape.audio.mixing.ways, roomtape.audio.aac, roomtape.recording.run"
"""With what is loaded when the first recorder is made, and begins."""
RUNS = 40


def taken(statement: str) -> float:
    """Milliseconds that it takes, but for starting Python."""
    code = (
        f"import time; t = time.thread_time(); {statement}; print(1e3 * (time.thread_time() - t))"
    )
    return float(cost_of([PYTHON, "-c", code]).out)


def run(quick: bool) -> Iterator[Row]:
    works = [partial(taken, each) for each in (OURS, PEER, LEAST, ALL)]
    for work in works:
        work()  # compiled, and in the page cache
    ours, peer, least, whole = in_turn(RUNS // 4 if quick else RUNS, *works)
    note = "without what the first recording loads: PyAV (for AAC), soxr, what writes"
    holds = ours <= BAR * peer
    yield Row("start", OURS, ours, "ms", peer, PEER, f"<= {BAR}", holds, note)
    yield Row("start", LEAST, least, "ms", peer, PEER)
    yield Row("start", "with all that a recording to AAC needs", whole, "ms", peer, PEER)
