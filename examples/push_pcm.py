"""Record what your own transport hands you: PCM, with or without timestamps, from any thread."""

import asyncio
import sys
import threading
import time

from roomtape import AudioRecorder, AudioRecordingConfiguration, Source
from roomtape.media.voices import load_voice

RATE = 16000
FRAME = RATE // 50


def a_telephone_line(source: Source) -> None:
    """Frames of 20 ms with timestamps; every tenth is lost on the way."""
    voice = load_voice("carol", RATE)
    start = time.monotonic()
    for number, position in enumerate(range(0, len(voice), FRAME)):
        time.sleep(max(0.0, start + number * 0.02 - time.monotonic()))
        if number % 10 != 9:
            source.push(voice[position : position + FRAME], RATE, pts=position)
    source.close()


async def main(path: str) -> None:
    config = AudioRecordingConfiguration(path, sample_rate=32000)
    async with AudioRecorder(config, on_event=print) as recorder:
        line = threading.Thread(target=a_telephone_line, args=[recorder.add_source("caller")])
        line.start()
        # A bot pushes a whole sentence at once; it is heard from now on.
        bot = recorder.add_playout("bot", local=True)
        await asyncio.sleep(2)
        bot.push(load_voice("dave"), 48000)
        await asyncio.to_thread(line.join)
    assert recorder.report is not None
    for source in recorder.report.sources:
        print(f"{source.name}: {source.received_s:.2f} s received, {source.lost_s:.2f} s lost")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "line.aac"))
