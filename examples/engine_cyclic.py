"""The engine's shape: keep the last ten seconds of a call, and save them when something happens.

The room is scripted and so is its clock: half a minute of call takes a second. For a real call,
put WebRtcRoom("http://127.0.0.1:8080") in its place and leave out the clock.
"""

import asyncio
import sys

from roomtape import (
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingPosition,
    ChannelEventCallback,
    ErrorCode,
    RtcEngine,
)
from roomtape.media.voices import load_voice
from roomtape.rooms import MemoryRoom
from roomtape.types.clock import ScriptedClock


class Events(ChannelEventCallback):
    def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        print(f"{code.name}: {file_path}")

    def on_user_joined(self, uid: str) -> None:
        print(f"{uid} joined")


async def main(path: str) -> None:
    clock = ScriptedClock()
    room = MemoryRoom(clock)
    async with RtcEngine(room, clock=clock) as engine:
        engine.set_event_callback(Events())
        await engine.join_channel(token=None, channel="support", uid="agent")
        await engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(
                path,
                sample_rate=48000,
                position=AudioRecordingPosition.MIXED_PLAYBACK,
                cycle_time=10,
                report=True,
            )
        )
        room.enter("alice")
        room.speak("alice", load_voice("alice"), 48000)
        await clock.advance(20)
        room.enter("bob")
        room.speak("bob", load_voice("bob"), 48000)
        await clock.advance(9)
        # Something went wrong in the call: keep what led to it, and a second more, and go on.
        incident = path.replace(".wav", "-incident.wav")
        saving = asyncio.create_task(engine.save_audio_recording(incident, last_s=6, then_s=1))
        await clock.advance(2)
        assert await saving is ErrorCode.OK
        await engine.stop_audio_recording()
        report = engine.last_recording_report
        assert report is not None
        print(f"{report.duration_s:.3f} s kept, from {report.started_at:%H:%M:%S} UTC on")
        for source in report.sources:
            for interval in source.intervals:
                span = f"{interval.start_s:5.2f} to {interval.end_s:5.2f} s"
                print(f"  {span}: {source.name} {interval.kind}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "last10.wav"))
