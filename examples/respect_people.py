"""A call that is recorded with respect: who has not agreed is not heard, a card number is a tone, a
private minute is cut out, and who wants to be forgotten is, out of what is kept as well.

The clock is scripted: minutes of call take a moment. Leave it out for a real call.
"""

import asyncio
import sys
from pathlib import Path

import numpy as np

from roomtape import AudioRecorder, AudioRecordingConfiguration, PlayoutSource
from roomtape.media.voices import load_voice
from roomtape.types.clock import ScriptedClock

CARD_NUMBER = np.full(4 * 48000, 9000, np.int16)


async def said(clock: ScriptedClock, who: PlayoutSource, pcm: np.ndarray) -> None:
    who.push(pcm, 48000)
    await clock.advance(len(pcm) / 48000 + 0.5)


async def main(path: Path) -> None:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(
        path, sample_rate=48000, cycle_time=60, consent="required", report=True
    )
    async with AudioRecorder(config, clock=clock) as recorder:
        agent = recorder.add_playout("agent", local=True)  # the side that records is not asked
        caller, carol = recorder.add_playout("caller"), recorder.add_playout("carol")
        await said(clock, carol, load_voice("carol"))  # not recorded: she has not agreed
        for name in ("caller", "carol"):
            recorder.agree(name, by=name)
        await said(clock, agent, load_voice("alice"))
        await said(clock, caller, load_voice("bob"))

        recorder.mask("caller", by="agent")
        await said(clock, caller, CARD_NUMBER)
        recorder.unmask("caller", by="agent")

        await clock.advance(1)
        recorder.pause("skip", by="agent")
        await said(clock, caller, load_voice("dave"))  # private
        recorder.resume(by="agent")

        await clock.advance(2)
        await said(clock, carol, load_voice("carol"))
        forgotten = await recorder.forget("carol", by="carol")
        print(f"carol: {forgotten.silenced_s:.1f} s are silence, still in {forgotten.still_in}")

        report = await recorder.stop()
    for act in report.acts:
        print(f"{act.at_s:6.1f} s  {act.kind.value:10} {act.who or 'everybody'} {act.how}")
    for cut in report.cuts:
        print(f"{cut.lasted_s:.1f} s were cut out at {cut.at_s:.1f} s")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "respect.wav")))
