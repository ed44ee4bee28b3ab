"""A LiveKit agent that records its calls: both sides in one AAC file, the last 60 s on demand.

    pip install 'roomtape[livekit-sdk]' livekit-agents
    export LIVEKIT_URL=ws://127.0.0.1:7880 LIVEKIT_API_KEY=... LIVEKIT_API_SECRET=...
    python livekit_agent.py start

It greets whoever comes. A data message "keep" saves what the last minute was. The recordings are in
the directory RECORDINGS, or here.
"""

import asyncio
import os
from pathlib import Path

from livekit import agents, rtc

from roomtape import AudioRecordingConfiguration, RtcEngine
from roomtape.media.voices import load_voice
from roomtape.rooms import LiveKitSdkRoom

FOLDER = Path(os.environ.get("RECORDINGS", "."))


async def record(ctx: agents.JobContext) -> RtcEngine:
    """Both sides of the call, until it is over."""
    room = LiveKitSdkRoom(ctx.room)
    engine = RtcEngine(room)
    await engine.set_local_audio(room.local_audio)  # what the agent says
    await engine.join_channel(None, ctx.room.name, ctx.agent.identity)
    config = AudioRecordingConfiguration(FOLDER / "call.aac", report=True)
    await engine.start_audio_recording_with_config(config)
    ctx.add_shutdown_callback(engine.release)  # finishes the file
    return engine


async def entrypoint(ctx: agents.JobContext) -> None:
    await ctx.connect(auto_subscribe=agents.AutoSubscribe.AUDIO_ONLY)
    engine = await record(ctx)
    saving: list[asyncio.Task[object]] = []

    @ctx.room.on("data_received")
    def on_data(packet: rtc.DataPacket) -> None:
        if packet.data == b"keep":
            saved = engine.save_audio_recording(str(FOLDER / "last-minute.aac"), last_s=60)
            saving.append(asyncio.create_task(saved))

    await greet(ctx.room)


async def greet(room: rtc.Room) -> None:
    """What an agent's speech synthesis would do."""
    source = rtc.AudioSource(48000, 1)
    track = rtc.LocalAudioTrack.create_audio_track("agent", source)
    await room.local_participant.publish_track(track)
    pcm = load_voice("carol", 48000)
    for low in range(0, len(pcm), 4800):
        piece = pcm[low : low + 4800]
        await source.capture_frame(rtc.AudioFrame(piece.tobytes(), 48000, 1, len(piece)))


if __name__ == "__main__":
    options = agents.WorkerOptions(entrypoint_fnc=entrypoint, host="127.0.0.1", port=0)
    agents.cli.run_app(options)
