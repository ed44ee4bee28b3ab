"""A call is kept for ten seconds at a time, until something happens: then all of it is, with what
led to it; and when it is over, the last seconds again.

The clock is scripted: half a minute of call takes a second. Leave it out for a real call.
"""

import asyncio
import sys
from pathlib import Path

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.media.voices import load_voice
from roomtape.types.clock import ScriptedClock


async def main(path: Path) -> None:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(
        path.with_stem(f"{path.stem}-rest"), sample_rate=48000, cycle_time=10, report=True
    )
    async with AudioRecorder(config, on_event=print, clock=clock) as recorder:
        alice, bob = recorder.add_source("alice"), recorder.add_source("bob")
        await clock.advance(15)
        for start in range(0, 4 * 48000, 960):
            alice.push(load_voice("alice")[start : start + 960], 48000)
            await clock.advance(0.02)
        # Now: what alice has said is kept, and everything from here on.
        await recorder.promote(path)
        for start in range(0, 4 * 48000, 960):
            bob.push(load_voice("bob")[start : start + 960], 48000)
            await clock.advance(0.02)
        demoting = asyncio.create_task(recorder.demote())
        await clock.advance(10)
        part = await demoting
        print(f"{part.duration_s:.1f} s, from {part.skipped_s:.1f} s of the call on")
        rest = await recorder.stop()
        assert abs(part.skipped_s + part.duration_s - rest.skipped_s) < 1, "and no second between"


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "incident.wav")))
