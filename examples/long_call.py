"""A long call in numbered files, each finished with its report while the next is recorded; then the
chain that the reports make is followed, and the files are put together again.

The clock is scripted, so that it takes a moment; leave it out for a real call, and split by the
hour.
"""

import asyncio
import json
import sys
from pathlib import Path

from roomtape import AudioRecorder, AudioRecordingConfiguration, MixInput, mix_files
from roomtape.media.voices import load_voice
from roomtape.types.clock import ScriptedClock


async def record(path: Path) -> str:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(path, sample_rate=48000, split_s=5)
    async with AudioRecorder(config, on_event=print, clock=clock) as recorder:
        first = str(recorder.path)
        for name in ("alice", "bob"):
            source = recorder.add_source(name)
            source.push(load_voice(name, 48000), 48000)
            await clock.advance(6.5)
            source.close()
    return first


def main(path: Path) -> None:
    file, inputs = asyncio.run(record(path.with_stem(f"{path.stem}-part"))), []
    while file:
        report = json.loads(Path(f"{file}.json").read_text())
        print(f"{report['part']}: {report['duration_s']} s from {report['skipped_s']} s on")
        inputs.append(MixInput(file, round(report["skipped_s"] * 1e9)))
        file = report["next_file"]
    mix_files(inputs, path, sample_rate=48000)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "long-call.wav"))
