"""Record a microphone, until Enter is pressed.

pip install roomtape sounddevice
python microphone.py call.wav
"""

import asyncio
import sys

import sounddevice

from roomtape import AudioRecorder, AudioRecordingConfiguration


async def record(path: str) -> None:
    async with AudioRecorder(AudioRecordingConfiguration(path, report=True)) as recorder:
        me = recorder.add_source("me", local=True)

        def heard(pcm, *_) -> None:  # on a thread of PortAudio's
            me.push(pcm, stream.samplerate)

        with sounddevice.InputStream(dtype="int16", channels=1, callback=heard) as stream:
            print(f"Recording at {stream.samplerate:g} Hz. Enter ends it.")
            await asyncio.to_thread(sys.stdin.readline)
    print(f"{recorder.path}: {recorder.report.duration_s:.1f} s")


asyncio.run(record(sys.argv[1]))
