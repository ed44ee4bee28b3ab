"""What `pip install roomtape` brings is enough to push audio; what more is needed is one line that
says what to install."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from support.program import run_python

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HEAVY = {
    "aiohttp",
    "aiortc",
    "cryptography",
    "disarm",
    "jwt",
    "livekit",
    "matplotlib",
    "redis",
    "rich",
    "typer",
}


def without(*packages: str) -> str:
    """Code that begins where these are not installed."""
    return f"import sys; sys.modules.update(dict.fromkeys({packages!r})); "


def test_the_recorder_needs_numpy_pyav_and_soxr():
    names = {re.split("[<>=]", each)[0] for each in PROJECT["dependencies"]}
    assert names == {"av", "numpy", "soxr"}
    code = (
        "import sys; from roomtape import AudioRecorder, MixInput, PushedAudio, RtcEngine; "
        "from roomtape.rooms import MemoryRoom; "
        f"print({HEAVY!r} & {{name.partition('.')[0] for name in sys.modules}})"
    )
    assert run_python(code).stdout == "set()\n"


LATER = {
    "av",
    "decimal",
    "hashlib",
    "json",
    "roomtape.analysis",
    "roomtape.engine",
    "roomtape.recording.reporting.report",
    "roomtape.recording.run",
    "roomtape.rooms",
    "roomtape.server",
    "roomtape.storage.live",
    "roomtape.storage.recover",
    "roomtape.storage.ring",
    "soxr",
}
"""What nobody waits for who imports the recorder (docs/architecture.md, "What is loaded when")."""


def test_importing_the_recorder_loads_what_is_heard_and_not_what_writes():
    code = (
        "import sys, numpy, asyncio; before = {*sys.modules}; from roomtape import AudioRecorder; "
        f"print({LATER!r} & ({{*sys.modules}} - before))"
    )
    assert run_python(code).stdout == "set()\n"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["wav", "aac"])
def test_nothing_is_loaded_from_the_start_to_the_end(tmp_path: Path, suffix: str):
    """START would come later; and no recording may lack its end since the package was replaced."""
    code = f"""
import asyncio, sys, numpy as np
from roomtape import AudioRecorder, AudioRecordingConfiguration
def ours():
    return {{name for name in sys.modules if name.partition(".")[0] in ("roomtape", "soxr", "av")}}
async def life(place, **options):
    path = place + ".{suffix}"
    config = AudioRecordingConfiguration(path, report=True, cycle_time=10, **options)
    recorder = AudioRecorder(config)
    before = ours()
    await recorder.start()
    alice, bot = recorder.add_source("alice"), recorder.add_playout("bot", local=True)
    alice.push(np.ones(24000, np.float32) / 4, 48000)
    bot.push(bytes(16000), 16000)
    await asyncio.sleep(0.7)
    recorder.mark("here")
    recorder.pause("skip")
    recorder.resume()
    await recorder.save(place + "-saved.{suffix}", last_s=0.5)
    await recorder.forget("alice")
    if not options.get("stems"):
        await recorder.promote()
        await recorder.demote()
    await recorder.stop()
    print(sorted(ours() - before))
async def main():
    await asyncio.gather(
        life({str(tmp_path / "plain")!r}),
        life({str(tmp_path / "stems")!r}, stems={str(tmp_path / "apart")!r}),
    )
asyncio.run(main())
"""
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("[]\n[]\n", "")


def test_only_aac_loads_pyav(tmp_path: Path):
    code = (
        "import sys; from roomtape import AudioRecorder, AudioRecordingConfiguration as Config; "
        "loaded = ['av' in sys.modules]\n"
        "for name in ('a.wav', 'a.aac'):\n"
        f"    AudioRecorder(Config({str(tmp_path)!r} + '/' + name))\n"
        "    loaded.append('av' in sys.modules)\n"
        "print(*loaded)"
    )
    assert run_python(code).stdout == "False False True\n"


def test_without_the_extras_audio_is_recorded(tmp_path: Path):
    code = (
        without(*sorted(HEAVY))
        + f"""
import asyncio, numpy as np
from roomtape import AudioRecorder, AudioRecordingConfiguration, MixInput, mix_files
from roomtape import verify_recording
async def main():
    config = AudioRecordingConfiguration({str(tmp_path / "a.aac")!r}, report=True)
    async with AudioRecorder(config) as recorder:
        recorder.add_source("alice").push(np.ones(8000, np.int16), 16000)
        recorder.add_playout("bot").push(bytes(1600), 16000)
    print([each.name for each in recorder.report.sources], verify_recording(recorder.path).ok)
asyncio.run(main())
"""
    )
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("['alice', 'bot'] True\n", "")


@pytest.mark.parametrize(
    ("code", "package", "extra"),
    [
        ("from roomtape.rooms import WebRtcRoom", "aiortc", "webrtc"),
        ("from roomtape.rooms import WebRtcRoom", "aiohttp", "webrtc"),
        ("from roomtape.rooms import LiveKitRoom", "livekit", "livekit"),
        ("from roomtape.rooms import LiveKitSdkRoom", "livekit", "livekit-sdk"),
    ],
)
def test_a_room_says_what_it_needs(code: str, package: str, extra: str):
    tried = (
        without(package)
        + f"""
from roomtape import MissingExtraError
try:
    {code}
except MissingExtraError as error:
    assert isinstance(error, ImportError)
    print(error)
"""
    )
    said = run_python(tried).stdout
    assert re.fullmatch(
        rf"\w+ needs packages that are not installed \({package}[\w.]*\): "
        rf"pip install 'roomtape\[{extra}\]'\n",
        said,
    ), said


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        ("--help", "typer", "cli"),
        ("serve", "aiohttp", "server"),
        ("serve", "disarm", "server"),
        ("token --room r --uid a --secret 0123456789abcdef0123456789abcdef", "jwt", "server"),
        ("record http://127.0.0.1:9/r -o {}/a.wav", "aiortc", "webrtc"),
        ("demo --out {}/out", "aiortc", "all"),
        ("inspect {}/a.wav --plot {}/a.png", "matplotlib", "plot"),
        ("record http://127.0.0.1:9/r -o {}/b.wav --sign {}/key.pem", "cryptography", "sign"),
        ("recover {}/a.wav --sign {}/key.pem", "cryptography", "sign"),
        ("verify {}/a.wav --key {}/key.pem", "cryptography", "sign"),
    ],
)
def test_a_command_says_in_one_line_what_to_install(
    tmp_path: Path, command: str, package: str, extra: str
):
    from support.damage import write_wav
    from support.signals import noise

    write_wav(tmp_path / "a.wav", noise(1, 0.5))
    arguments = command.replace("{}", str(tmp_path)).split()
    code = (
        without(package)
        + f"""
sys.argv = ["roomtape", *{arguments!r}]
from roomtape.__main__ import main
raise SystemExit(main())
"""
    )
    done = run_python(code)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"({package}" in done.stderr
    assert done.stderr.endswith(f": pip install 'roomtape[{extra}]'\n")


def test_every_extra_is_documented():
    table = (ROOT / "docs" / "dependencies.md").read_text()
    for extra in {*PROJECT["optional-dependencies"]} - {"bench", "dev", "fuzz"}:
        assert f"`[{extra}]`" in table, extra
