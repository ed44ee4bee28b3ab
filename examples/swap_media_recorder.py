"""For aiortc users: record every track of a call into one file.

MediaRecorder writes one track a file, and shortens it where packets are lost. AudioRecorder takes
any number of tracks, at any time, and keeps them on one clock.

Two peers talk over loopback here; in your program the tracks come from your own connections.
"""

import asyncio
import sys

from aiortc import RTCPeerConnection
from aiortc.contrib.media import MediaPlayer

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.media.voices import voice_path


async def main(path: str) -> None:
    caller, callee = RTCPeerConnection(), RTCPeerConnection()
    caller.addTrack(MediaPlayer(str(voice_path("alice"))).audio)
    caller.addTrack(MediaPlayer(str(voice_path("bob"))).audio)

    recorder = AudioRecorder(AudioRecordingConfiguration(path, sample_rate=48000), on_event=print)
    callee.on("track", recorder.add_track)

    await recorder.start()
    await connect(caller, callee)
    await asyncio.sleep(8)
    report = await recorder.stop()
    for source in report.sources:
        print(f"{source.name}: {source.received_s:.1f} s received, {source.lost_s:.2f} s lost")

    await caller.close()
    await callee.close()


async def connect(caller: RTCPeerConnection, callee: RTCPeerConnection) -> None:
    await caller.setLocalDescription(await caller.createOffer())
    await callee.setRemoteDescription(caller.localDescription)
    await callee.setLocalDescription(await callee.createAnswer())
    await caller.setRemoteDescription(callee.localDescription)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "call.wav"))
