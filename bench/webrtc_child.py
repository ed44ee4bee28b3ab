"""The two ends of :mod:`webrtc`.

``webrtc_child.py receive nothing|roomtape|mediarecorder TRACKS SECONDS DIR`` starts
``webrtc_child.py send TRACKS`` and prints one JSON object. The session descriptions go through
their pipes, a JSON line each.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole, MediaRecorder

from common import speech
from roomtape import AudioRecorder, AudioRecordingConfiguration

_FRAME = 960


class Speech(MediaStreamTrack):
    """A speaker, 20 ms at a time."""

    kind = "audio"

    def __init__(self, number: int) -> None:
        super().__init__()
        self._frames = speech(number, 60).reshape(-1, 1, _FRAME)
        self._next = 0
        self._begun = 0.0

    async def recv(self) -> av.AudioFrame:
        self._begun = self._begun or time.monotonic()
        await asyncio.sleep(max(0.0, self._begun + self._next * 0.02 - time.monotonic()))
        pcm = self._frames[self._next % len(self._frames)]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48000, self._next * _FRAME
        frame.time_base = Fraction(1, 48000)
        self._next += 1
        return frame


def _described(peer: RTCPeerConnection) -> str:
    described = peer.localDescription
    return json.dumps({"sdp": described.sdp, "type": described.type}) + "\n"


async def send(count: int) -> None:
    loop = asyncio.get_running_loop()
    peers = []
    for number in range(count):
        peer = RTCPeerConnection()
        peers.append(peer)
        peer.addTrack(Speech(number))
        await peer.setLocalDescription(await peer.createOffer())
        sys.stdout.write(_described(peer))
        sys.stdout.flush()
        answer = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
        await peer.setRemoteDescription(RTCSessionDescription(**answer))
    await loop.run_in_executor(None, sys.stdin.read)  # until the other end has gone
    for peer in peers:
        await peer.close()


async def receive(what: str, count: int, seconds: float, folder: Path) -> dict[str, Any]:
    pipe = asyncio.subprocess.PIPE
    sender = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "send", str(count), stdin=pipe, stdout=pipe, limit=1 << 20
    )
    assert sender.stdin is not None
    assert sender.stdout is not None
    tracks: list[MediaStreamTrack] = []
    peers = []
    for _ in range(count):
        peer = RTCPeerConnection()
        peers.append(peer)
        peer.on("track", tracks.append)
        offer = json.loads(await sender.stdout.readline())
        await peer.setRemoteDescription(RTCSessionDescription(**offer))
        await peer.setLocalDescription(await peer.createAnswer())
        sender.stdin.write(_described(peer).encode())
    sinks: list[Any] = []
    if what == "roomtape":
        recorder = AudioRecorder(AudioRecordingConfiguration(folder / "all.aac"))
        await recorder.start()
        for track in tracks:
            recorder.add_track(track)
        sinks = [recorder]
    else:
        for number, track in enumerate(tracks):
            aac = str(folder / f"{number}.aac")
            sink = MediaRecorder(aac) if what == "mediarecorder" else MediaBlackhole()
            sink.addTrack(track)
            await sink.start()
            sinks.append(sink)
    await asyncio.sleep(2)  # connections, first packets
    cpu = time.process_time()
    await asyncio.sleep(seconds)
    cpu = time.process_time() - cpu
    for sink in sinks:
        await sink.stop()
    for peer in peers:
        await peer.close()
    sender.stdin.close()
    await sender.wait()
    return {"cpu": cpu}


def main() -> None:
    if sys.argv[1] == "send":
        asyncio.run(send(int(sys.argv[2])))
    else:
        what, count, seconds, folder = sys.argv[2:6]
        print(json.dumps(asyncio.run(receive(what, int(count), float(seconds), Path(folder)))))


if __name__ == "__main__":
    main()
