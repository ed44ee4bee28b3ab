"""A SIP phone (baresip) calls; an exchange (SIPp) answers for a recorder that has no SIP itself."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from roomtape import AudioRecordingConfiguration, ErrorCode, RtcEngine
from roomtape.rooms import RtpRoom
from support.damage import write_wav
from support.lag import Lag
from support.livekit_server import free_port
from support.lossy_path import lossy_path
from support.processes import stop
from support.readers import read_all
from support.signals import speech
from support.words import assert_each_in_place, find_words

pytestmark = pytest.mark.network

SPOKEN_S = 5
LONGEST_PACKET_S = 0.065
ANSWER = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="answer">
  <recv request="INVITE"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[pid]-[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/AVP {payload_type}
a=rtpmap:{payload_type} {codec}
a=recvonly
]]></send>
  <recv request="ACK"/>
  <recv request="BYE"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"""
PHONE = """
sip_listen 127.0.0.1:0
audio_source aufile,{voice}
audio_player aubridge,nobody
audio_alert aubridge,nobody
ausrc_srate {rate}
ausrc_channels {channels}
auplay_channels {channels}
module_path /usr/lib/baresip/modules
module {module}.so
module aufile.so
module aubridge.so
module_app account.so
module_app menu.so
"""


class Codec(NamedTuple):
    name: str
    payload_type: int
    module: str
    rate: int
    channels: int


CODECS = [
    Codec("PCMU/8000", 0, "g711", 8000, 1),
    Codec("PCMA/8000", 8, "g711", 8000, 1),
    Codec("opus/48000/2", 96, "opus", 48000, 2),
]


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name.partition("/")[0])
async def test_each_word_of_a_phone_that_calls_is_recorded(
    tmp_path: Path, codec: Codec, loss: float, lag: Lag
) -> None:
    for program, package in (("baresip", "baresip-core"), ("sipp", "sip-tester")):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on this machine: apt install {package}")
    said = speech("alice", SPOKEN_S + 1.0, codec.rate)
    both = said if codec.channels == 1 else said[:, None].repeat(2, axis=1)
    voice = write_wav(tmp_path / "voice.wav", both, codec.rate)
    phone = tmp_path / "phone"
    phone.mkdir()
    (phone / "config").write_text(PHONE.format(voice=voice, **codec._asdict()))
    (phone / "accounts").write_text(f"<sip:alice@127.0.0.1>;regint=0;audio_codecs={codec.name}\n")
    (phone / "contacts").touch()
    room = RtpRoom("127.0.0.1", 0)
    async with RtcEngine(room) as engine:
        assert await engine.join_channel(None, "calls", "recorder") is ErrorCode.OK
        config = AudioRecordingConfiguration(tmp_path / "call.wav", sample_rate=48000)
        assert await engine.start_audio_recording_with_config(config) is ErrorCode.OK
        async with lossy_path(room.address[1], loss=loss, clock_hz=codec.rate) as path:
            await call(tmp_path, codec, phone, path.port)
            await asyncio.sleep(0.7)  # what comes within half a second is still placed
        assert await engine.stop_audio_recording() is ErrorCode.OK
        report = engine.last_recording_report
    assert report is not None
    (alice,) = report.sources
    heard_s = alice.received_s + alice.lost_s
    assert path.last_s < heard_s + lag.late_s
    assert heard_s < path.last_s + LONGEST_PACKET_S
    assert bool(path.lost_s) == bool(loss)
    assert alice.lost_s + alice.fec_s == pytest.approx(path.lost_s, abs=0.001 + lag.late_s)
    pcm, rate = read_all(tmp_path / "call.wav")
    words = speech("alice", min(SPOKEN_S, path.last_s) - 0.1, rate)
    begins_s = path.first_at - report.started_at.timestamp()
    known = path.known(len(words), rate)
    found = find_words(words, pcm, rate, begins_s=begins_s, known=known)
    # Behind a gap, Opus takes a frame or two to be itself again.
    alike = 0.4 if loss else 0.8
    assert_each_in_place(found, at_least=7, within_s=0.02 + lag.worst_s, alike=alike)


async def call(directory: Path, codec: Codec, phone: Path, port: int) -> None:
    """The phone calls, is told to send to a port, speaks, and hangs up."""
    answer = directory / "answer.xml"
    numbers = {"port": port, "payload_type": codec.payload_type}
    answer.write_text(ANSWER.format(codec=codec.name, **numbers))
    exchange_port = free_port(socket.SOCK_DGRAM)
    sipp = ["sipp", "-sf", str(answer), "-i", "127.0.0.1", "-p", str(exchange_port), "-m", "1"]
    dial = ["-e", f"/dial sip:recorder@127.0.0.1:{exchange_port}", "-t", str(SPOKEN_S)]
    quietly = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    with subprocess.Popen(  # noqa: ASYNC220 (it starts within milliseconds)
        [*sipp, "-nostdin"], stderr=subprocess.STDOUT, **quietly
    ) as exchange:
        try:
            called = await asyncio.create_subprocess_exec(
                "baresip", "-f", str(phone), *dial, **quietly
            )
            assert await called.wait() == 0
            assert await asyncio.to_thread(exchange.wait, 60) == 0, "no call, or no goodbye"
        finally:
            await asyncio.to_thread(stop, exchange)
