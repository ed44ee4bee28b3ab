"""4. Recording live WebRTC: the CPU of a client that receives and records.

A process sends some tracks of speech, each over a connection of its own (a mesh); another one
receives them and, in turn, records all of them into one file with Roomtape, records each into a
file of its own with aiortc's ``MediaRecorder``, which can do no other, and throws them away as
aiortc has them. (Roomtape takes the packets before aiortc decodes them, so that may cost more than
recording.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from common import HERE, PYTHON, Row, cost_of, folder, in_turn


def run(quick: bool) -> Iterator[Row]:
    seconds = 6 if quick else 15
    with folder() as where:
        for count in (4,) if quick else (1, 4, 8):

            def cpu_share(sink: str, count: int = count) -> float:
                words = ["receive", sink, count, seconds, where]
                found = cost_of([PYTHON, HERE / "webrtc_child.py", *map(str, words)])
                for path in where.iterdir():
                    path.unlink()
                return float(json.loads(found.out)["cpu"]) / seconds * 100

            ours, peer, nothing = in_turn(
                3,
                lambda: cpu_share("roomtape"),
                lambda: cpu_share("mediarecorder"),
                lambda: cpu_share("nothing"),
            )
            yield Row(
                "webrtc",
                f"recording {count} remote tracks to AAC, 32 kHz",
                ours,
                "% of a core",
                peer,
                f"aiortc MediaRecorder, {count} files",
                note=f"receiving with aiortc and throwing it away: {nothing:.1f} %",
            )
