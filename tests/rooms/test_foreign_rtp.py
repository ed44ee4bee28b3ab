"""RTP of other makes (FFmpeg, GStreamer) in a room, word by word, and through a network that loses
a tenth of it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from roomtape import AudioRecordingConfiguration, ErrorCode, RtcEngine
from roomtape.rooms import RtpRoom
from support.damage import write_wav
from support.lag import Lag
from support.lossy_path import lossy_path
from support.readers import read_all
from support.signals import speech
from support.words import assert_each_in_place, find_words

pytestmark = pytest.mark.network

SAID_S = 6.0
LONGEST_PACKET_S = 0.065
RATE_HZ = 48000


class Sender(NamedTuple):
    """A program that sends a file as RTP, in real time.

    Attributes:
        program, package: What it needs, and where Debian has it.
        clock_hz: Of its timestamps. (G.722's is 8000 Hz, RFC 3551.)
        command: Its arguments, for a file and a port.
    """

    program: str
    package: str
    clock_hz: int
    command: Callable[[Path, int], str]


def ffmpeg(codec: str, rate_hz: int, clock_hz: int, options: str = "") -> Sender:
    def command(voice: Path, port: int) -> str:
        return (
            f"-v error -nostdin -re -i {voice} -ar {rate_hz} -ac 1 -c:a {codec} {options} "
            f"-f rtp rtp://127.0.0.1:{port}?rtcpport={port}"
        )

    return Sender("ffmpeg", "ffmpeg", clock_hz, command)


def gstreamer(encoder: str, payloader: str, rate_hz: int) -> Sender:
    def command(voice: Path, port: int) -> str:
        return (
            f"-q filesrc location={voice} ! wavparse ! audioconvert ! audioresample "
            f"! audio/x-raw,rate={rate_hz},channels=1 ! {encoder} ! {payloader} "
            f"! udpsink host=127.0.0.1 port={port}"
        )

    packages = "gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
    return Sender("gst-launch-1.0", packages, rate_hz, command)


PTIME = "min-ptime=20000000 max-ptime=20000000"
SENDERS = {
    "ffmpeg pcmu": ffmpeg("pcm_mulaw", 8000, 8000),
    "ffmpeg pcma": ffmpeg("pcm_alaw", 8000, 8000),
    "ffmpeg g722": ffmpeg("g722", 16000, 8000),
    "ffmpeg opus": ffmpeg("libopus", 48000, 48000, "-b:a 32k -payload_type 96"),
    "gstreamer pcmu": gstreamer("mulawenc", f"rtppcmupay {PTIME}", 8000),
    "gstreamer pcma": gstreamer("alawenc", f"rtppcmapay {PTIME}", 8000),
    "gstreamer opus": gstreamer("opusenc", "rtpopuspay pt=96", 48000),
    "gstreamer opus with fec": gstreamer(
        "opusenc inband-fec=true packet-loss-percentage=20", "rtpopuspay pt=96", 48000
    ),
}


WHOLE = [(sender, 0.0) for sender in SENDERS if not sender.endswith("fec")]
LOSSY = [(sender, 0.1) for sender in SENDERS if not sender.endswith("pcma")]


@pytest.mark.parametrize(("sender", "loss"), WHOLE + LOSSY)
async def test_each_word_stands_where_it_was_said(
    tmp_path: Path, sender: str, loss: float, lag: Lag
):
    program, package, clock_hz, command = SENDERS[sender]
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} on this machine: apt install {package}")
    said = speech("alice", SAID_S, RATE_HZ)
    voice = write_wav(tmp_path / "voice.wav", said)
    room = RtpRoom()
    async with RtcEngine(room) as engine:
        assert await engine.join_channel(None, "calls", "recorder") is ErrorCode.OK
        config = AudioRecordingConfiguration(tmp_path / "call.wav", sample_rate=RATE_HZ)
        assert await engine.start_audio_recording_with_config(config) is ErrorCode.OK
        async with lossy_path(room.address[1], loss=loss, clock_hz=clock_hz) as path:
            sending = await asyncio.create_subprocess_exec(
                program, *command(voice, path.port).split(), stdout=asyncio.subprocess.DEVNULL
            )
            assert await sending.wait() == 0
            await asyncio.sleep(0.7)  # what comes within half a second is still placed
        assert await engine.stop_audio_recording() is ErrorCode.OK
        report = engine.last_recording_report
    assert report is not None
    (alice,) = report.sources
    assert path.last_s == pytest.approx(SAID_S, abs=0.1)
    heard_s = alice.received_s + alice.lost_s
    assert path.last_s < heard_s + lag.late_s
    assert heard_s < path.last_s + LONGEST_PACKET_S
    assert bool(path.lost_s) == bool(loss)
    assert alice.lost_s + alice.fec_s == pytest.approx(path.lost_s, abs=0.001 + lag.late_s)
    assert bool(alice.fec_s) == (bool(loss) and sender.endswith("fec"))
    pcm, _ = read_all(tmp_path / "call.wav")
    found = find_words(
        said,
        pcm,
        RATE_HZ,
        begins_s=path.first_at - report.started_at.timestamp(),
        known=path.known(len(said), RATE_HZ),
    )
    # Behind a gap, Opus takes a frame or two to be itself again.
    alike = 0.4 if loss else 0.9
    assert_each_in_place(found, at_least=8, within_s=0.02 + lag.worst_s, alike=alike)
