"""A conversation to edit: the agent left, the caller right, and each in a file of its own."""

import asyncio
import sys

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.media.voices import load_voice

RATE = 48000


async def main(path: str) -> None:
    config = AudioRecordingConfiguration(path, sample_rate=RATE, channels=2, stems=f"{path}-stems")
    async with AudioRecorder(config, on_event=print) as recorder:
        agent = recorder.add_playout("agent", local=True)
        caller = recorder.add_playout("caller")
        agent.push(load_voice("alice"), RATE)
        await asyncio.sleep(2)
        caller.push(load_voice("bob"), RATE)
        await agent.wait()
        await caller.wait()
    assert recorder.report is not None
    for source in recorder.report.sources:
        print(f"{source.name}: {source.stem}")
    print("open them all with", " or ".join(recorder.report.projects))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "conversation.wav"))
