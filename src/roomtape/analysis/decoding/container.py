"""The first audio stream of whatever FFmpeg reads, placed by its timestamps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import av

from .adts import UNDECODABLE, changes_told, frames
from .messages import END, listed, send_said
from .ogg import Part, ogg_links
from .output import Output
from .timestamps import Timestamps

# What holds audio, and opens nothing else for it. Lists of files, streams from elsewhere, devices
# and what only a name can tell are not among them.
_DEMUXERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,asf_o,ast,au,avi,avr,bwf,caf,dsf,dts,dtshd,eac3,flac,flv,"
    "gsm,iff,ircam,loas,matroska,mmf,mov,mp3,mpc,mpc8,mpeg,mpegts,nistsphere,nut,ogg,oma,paf,pvf,"
    "rm,sox,sds,tak,truehd,tta,voc,w64,wav,wsd,wtv,wv,xwma,shn,mlp,svx,8svx,alp,smjpeg,vqf,qcp"
)
_OPTIONS = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
_ZERO_IS_ZERO = ("matroska", "mov")
"""Containers whose timestamps count from the beginning of the file. Others begin at any number."""
_CLAIMS_A_LENGTH = (
    "matroska", "mov", "flac", "ogg", "avi", "asf", "aiff", "au", "caf", "w64", "ape", "wv", "tta",
    "tak", "mpc", "mpc8", "voc",
)  # fmt: skip
"""For others FFmpeg guesses it by the bit rate."""
_CHECKED = ("flac", "tta", "wavpack")
"""Codecs whose frames have checksums, which FFmpeg ignores unless told otherwise: what is wrong
would be noise."""
_XING_BYTES = 1 << 10
# A decoded length differs from a container's claim by rounding, priming and padding.
_DURATION_TOLERANCE_S = 0.5
_LOST_PACKETS = 1000
"""A file of which so many packets are lost is not worth going on with."""
_TOLD = 10


class NoAudioError(Exception):
    """Why there is nothing to decode, in words."""

    def __init__(self, why: str, *, audio: bool = True) -> None:
        super().__init__(why)
        self.audio = audio
        """Whether the file looks like audio at all."""


def decode_container(path: str, file: BinaryIO, size: int, pipe: BinaryIO, *, wav: bool) -> None:
    """Decode the whole file.

    Args:
        path: Where FFmpeg opens it.
        file: The same, open.
        size: Its size.
        pipe: Where the messages go.
        wav: Somebody else judges what its header declares.

    Raises:
        NoAudioError: There is nothing to decode.
    """
    decoding = _Decoding(pipe, judged=wav)
    file.seek(0)
    links = ogg_links(file, size) if file.read(4) == b"OggS" else []
    if len(links) > 1:
        for start, end in links:
            decoding.take_link(Part(file, start, end))
        decoding.notes.append(f"{len(links)} streams, one behind the other")
    else:
        with open_container(path) as container:
            decoding.take(container, _has_xing(file))
    decoding.finish()


def open_container(source: Any) -> av.container.InputContainer:
    """Open what FFmpeg may open.

    Raises:
        NoAudioError: It does not know it, or there is no audio in it.
    """
    try:
        container = cast(av.container.InputContainer, av.open(source, options=_OPTIONS))
    except UNDECODABLE as error:
        raise NoAudioError(words_of(error), audio=False) from None
    if not container.streams.audio:
        container.close()
        raise NoAudioError("there is no audio in this file")
    return container


class _Decoding:
    def __init__(self, pipe: BinaryIO, *, judged: bool) -> None:
        self.damage: list[str] = []
        self.notes: list[str] = []
        self._output = Output(pipe, self._describe)
        self._pipe = pipe
        self._judged = judged
        self._lost = 0
        self._short: list[str] = []
        self._format = ""
        self._declared_s: float | None = None

    def take(self, container: av.container.InputContainer, exact: bool) -> None:
        """Decode one file, or one link of it."""
        stream = container.streams.audio[0]
        # Typed as always there, and None for a codec that FFmpeg does not know.
        codec = cast(av.AudioCodecContext | None, stream.codec_context)
        if codec is None:
            raise NoAudioError("FFmpeg does not know its codec")
        codec.thread_count = 1
        if codec.name in _CHECKED:
            codec.options = {"err_detect": "crccheck+explode"}
        name = container.format.name.split(",")[0]
        origin_s = _origin_s(container, name)
        end_s = None
        if name in _CLAIMS_A_LENGTH or exact:
            end_s = _declared_end_s(container, stream, origin_s)
        if not self._format:
            # FFmpeg names a family: "mov,mp4,m4a,3gp,3g2,mj2".
            self._format = f"{name} {codec.name}"
            self._declared_s = end_s
        start = self._output.position
        timestamps = Timestamps(self._output, origin_s=origin_s, end_s=end_s)
        self._decode(container, stream, timestamps)
        self._tell(timestamps, start, end_s)

    def take_link(self, part: Part) -> None:
        """Decode one link of a chain; one that cannot be is damage."""
        try:
            with open_container(part) as container:
                self.take(container, False)
        except NoAudioError as error:
            self.damage.append(f"a chained stream cannot be read: {error}")

    def finish(self) -> None:
        if not self._output.rate_hz:
            raise NoAudioError("none of its audio can be decoded")
        self._output.finish()
        if self._lost:
            self.damage.append(f"{frames(self._lost)} cannot be decoded")
        self.damage += self._short
        notes = self.notes + changes_told(self._output)
        send_said(self._pipe, END, damage=self.damage, notes=notes)

    def _describe(self) -> dict[str, Any]:
        return {"format": self._format, "declared_s": self._declared_s}

    def _decode(
        self,
        container: av.container.InputContainer,
        stream: av.AudioStream,
        timestamps: Timestamps,
    ) -> None:
        output = self._output
        base = stream.time_base
        numerator, denominator = (base.numerator, base.denominator) if base else (0, 1)
        for packet in self._packets(container, stream):
            try:
                for each in packet.decode():
                    frame = cast(av.AudioFrame, each)
                    output.expect(frame)
                    pts = frame.pts
                    at = None
                    if pts is not None and numerator:
                        at = pts * numerator * output.rate_hz // denominator
                    timestamps.place(at)
                    output.write(frame)
            except UNDECODABLE:
                self._lost += 1
                if self._lost > _LOST_PACKETS:
                    return

    def _packets(
        self, container: av.container.InputContainer, stream: av.AudioStream
    ) -> Iterator[av.Packet[Any]]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except UNDECODABLE as error:
                rate_hz = self._output.rate_hz
                at_s = self._output.position / rate_hz if rate_hz else 0.0
                self.damage.append(f"reading stopped at {at_s:.3f} s: {words_of(error)}")
                return
            if packet is None:
                return
            yield packet

    def _tell(self, timestamps: Timestamps, start: int, end_s: float | None) -> None:
        rate_hz = self._output.rate_hz
        if not rate_hz:
            return
        start_s = start / rate_hz
        if timestamps.begins_s:
            self.notes.append(f"the audio begins at {start_s + timestamps.begins_s:.3f} s")
        holes = [
            f"{length_s:.3f} s are missing at {start_s + at_s:.3f} s: silence"
            for at_s, length_s in timestamps.holes
        ]
        jumps = [
            f"timestamps jump by {length_s:+.3f} s at {start_s + at_s:.3f} s: not followed"
            for at_s, length_s in timestamps.jumps
        ]
        self.damage += listed(holes, _TOLD, "holes")
        self.notes += listed(jumps, _TOLD, "jumps")
        readable_s = (self._output.position - start) / rate_hz
        if not self._judged and end_s is not None and end_s - readable_s > _DURATION_TOLERANCE_S:
            self._short.append(f"damaged, {readable_s:.1f} s readable of {end_s:.1f} s declared")


def _origin_s(container: av.container.InputContainer, name: str) -> float | None:
    if name in _ZERO_IS_ZERO:
        return 0.0
    others = len(container.streams) > 1 and container.start_time is not None
    return container.start_time / av.time_base if others else None


def _declared_end_s(
    container: av.container.InputContainer, stream: av.AudioStream, origin_s: float | None
) -> float | None:
    """Where the audio ends by the container's word, from the file's beginning."""
    if stream.duration is not None and stream.time_base is not None:
        begin = 0.0
        if origin_s is not None and stream.start_time is not None:
            begin = max(0.0, float(stream.start_time * stream.time_base) - origin_s)
        return begin + float(stream.duration * stream.time_base)
    told = _seconds(stream.metadata.get("DURATION", ""))
    if told is not None:
        return told
    # Only where the audio is all that the file holds: a film may be longer than its sound.
    attached = av.stream.Disposition.attached_pic
    covers = sum(1 for each in container.streams.video if each.disposition & attached)
    if container.duration is None or len(container.streams) > 1 + covers:
        return None
    return container.duration / av.time_base


def _seconds(text: str) -> float | None:
    """``00:00:10.007000000``, as Matroska's tags have it."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def _has_xing(file: BinaryIO) -> bool:
    """Whether an MP3 says in its first frame how many there are."""
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    file.seek(start)
    first = file.read(_XING_BYTES)
    at = max(0, first.find(b"\xff"))
    return any(tag in first[at : at + 256] for tag in (b"Xing", b"Info", b"VBRI"))


def words_of(error: Exception) -> str:
    """FFmpeg's words for an error."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split()).lower() or type(error).__name__


def same_file(fd: int) -> str:
    """A name under which FFmpeg can open what is open as ``fd``, whatever its own name is."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"  # noqa: PTH112
    return f"file:{folder}/{fd}"
