"""A recording in a process of its own, to be stopped and continued: ``... FILE SECONDS BLOCK_S``.

A thread captures a microphone: 20 ms frames with the time at which they were heard; what it slept
through it has not heard. The event loop is blocked for BLOCK_S from the first second on. Prints
``started``, and in the end one line of JSON: how long it recorded, and the report.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time

from roomtape import AudioRecorder, AudioRecordingConfiguration, Source
from roomtape.types import Pcm

from .signals import noise

_RATE = 48000
_FRAME = 960
_OVERRUN = 5 * _FRAME


def capture(source: Source, said: Pcm, over: threading.Event) -> None:
    start, at = time.monotonic(), 0
    while not over.wait(max(0.0, start + (at + _FRAME) / _RATE - time.monotonic())):
        heard = round((time.monotonic() - start) * _RATE)
        if heard - at > _OVERRUN:
            at = heard // _FRAME * _FRAME
        source.push(said[at : at + _FRAME], _RATE, at)
        at += _FRAME


async def record(path: str, seconds: float, block_s: float) -> None:
    over, said = threading.Event(), noise(1, 60.0)
    async with AudioRecorder(AudioRecordingConfiguration(path, sample_rate=_RATE)) as recorder:
        began = time.monotonic()
        mic = recorder.add_source("mic")
        thread = threading.Thread(target=capture, args=(mic, said, over))
        thread.start()
        print("started", flush=True)  # noqa: T201
        await asyncio.sleep(1)
        time.sleep(block_s)  # noqa: ASYNC251 (that is the point)
        await asyncio.sleep(began + seconds - time.monotonic())
        length_s = time.monotonic() - began
        report = await recorder.stop()
    over.set()
    thread.join()
    print(json.dumps({"length_s": length_s, "report": report.as_dict()}))  # noqa: T201


asyncio.run(record(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
