"""Containers, ten kinds of them and more: how to have ffmpeg make each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.readers import run


@dataclass(frozen=True)
class Container:
    """One file, and what is in it.

    Attributes:
        path: Where it is.
        seconds: How long it is; within 30 ms.
        channels, rate_hz: What a reader should find.
        damage, note: Words that they should have; None for none.
    """

    path: Path
    seconds: float
    channels: int = 1
    rate_hz: int = 48000
    damage: str | None = None
    note: str | None = None


def sine(*, seconds: float = 2, rate_hz: int = 48000, hz: int = 440) -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=d={seconds}:r={rate_hz}:f={hz}"]


def made(path: Path, *arguments: str) -> Path:
    run("ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, str(path))
    return path


def _simple(suffix: str, *options: str, channels: int = 1) -> Callable[[Path], Container]:
    def make(directory: Path) -> Container:
        path = made(directory / f"a.{suffix}", *sine(), "-ac", str(channels), *options)
        return Container(path, 2, channels)

    return make


def _hole(directory: Path) -> Container:
    options = ("-af", "aselect='lt(t,3)+gt(t,6)'")
    path = made(directory / "gap.webm", *sine(seconds=10), *options)
    return Container(path, 10, damage="s are missing at 3.0")


def _late(directory: Path) -> Container:
    path = made(directory / "late.mka", "-itsoffset", "2", *sine(seconds=3))
    return Container(path, 5, note="the audio begins at 2.000 s")


def _film(suffix: str, note: str | None, seconds: float) -> Callable[[Path], Container]:
    def make(directory: Path) -> Container:
        picture = ["-f", "lavfi", "-i", "testsrc=d=6:s=64x64:r=5"]
        begin = ["-itsoffset", "2"] if note else []
        path = made(directory / f"film.{suffix}", *picture, *begin, *sine(seconds=3))
        return Container(path, seconds, note=note)

    return make


def _chain(suffix: str, *other: str) -> Callable[[Path], Container]:
    def make(directory: Path) -> Container:
        one = made(directory / f"one.{suffix}", *sine())
        two = made(directory / f"two.{suffix}", *sine(hz=880), *other)
        path = directory / f"chain.{suffix}"
        path.write_bytes(one.read_bytes() + two.read_bytes())
        return Container(path, 4, note="2 streams")

    return make


def _harmed_flac(directory: Path) -> Container:
    """Some frames are not even where they were, or, at another place, but wrong."""
    source = ["-f", "lavfi", "-i", "anoisesrc=d=4:a=0.3:s=1:r=48000"]
    path = made(directory / "a.flac", *source)
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 20):
        data[at] ^= 0x5A
    path.write_bytes(data)
    return Container(path, 4, damage="s are missing at 1.92")


def _mp3_in_wav(directory: Path) -> Container:
    path = made(directory / "a.wav", *sine(), "-c:a", "libmp3lame", "-b:a", "64k")
    return Container(path, 2)


def _vbr_mp3(directory: Path) -> Container:
    """Loud noise, then silence, without a Xing header: the bit rate of the beginning misleads."""
    source = ["-f", "lavfi", "-i", "anoisesrc=d=1:a=0.5:r=48000,apad=pad_dur=9"]
    path = made(
        directory / "a.mp3", *source, "-q:a", "4", "-write_xing", "0", "-id3v2_version", "0"
    )
    return Container(path, 10.05)


CONTAINERS: dict[str, Callable[[Path], Container]] = {
    "flac": _simple("flac"),
    "flac 7.1": _simple("flac", channels=8),
    "opus 7.1": _simple("opus", channels=8),
    "ogg vorbis": _simple("ogg", "-c:a", "libvorbis"),
    "mp3": _simple("mp3"),
    "m4a": _simple("m4a"),
    "aiff": _simple("aiff"),
    "au": _simple("au"),
    "caf of 24 bit": _simple("caf", "-c:a", "pcm_s24le"),
    "w64": _simple("w64"),
    "wavpack": _simple("wv"),
    "mkv pcm": _simple("mkv", "-c:a", "pcm_s16le"),
    "16 channels in mov": lambda directory: Container(
        made(
            directory / "a.mov", *sine(), "-af", "pan=16 channels|c0=c0|c15=c0", "-c:a", "pcm_s24le"
        ),
        2,
        16,
    ),
    "adpcm in wav": _simple("wav", "-c:a", "adpcm_ms"),
    "a hole between timestamps": _hole,
    "audio that begins later": _late,
    "a film whose sound begins later, mkv": _film("mkv", "the audio begins at 2", 5),
    "a film whose sound begins later, mp4": _film("mp4", "the audio begins at 1.9", 5),
    "a film that is longer than its sound, mkv": _film("mkv", None, 3),
    "a film that is longer than its sound, mp4": _film("mp4", None, 3),
    "a film that is longer than its sound, avi": _film("avi", None, 3),
    "chained vorbis": _chain("ogg", "-c:a", "libvorbis"),
    "chained opus": _chain("opus"),
    "chained opus, then stereo": _chain("opus", "-ac", "2"),
    "chained vorbis, then stereo at 44.1 kHz": _chain("ogg", "-ac", "2", "-ar", "44100"),
    "a harmed flac": _harmed_flac,
    "mp3 in wav": _mp3_in_wav,
    "vbr mp3 without a Xing header": _vbr_mp3,
}
