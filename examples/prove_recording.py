"""A recording that can be shown to be the one that was made: marked, signed, checked, exported.

The voices are pushed at once, on a scripted clock: seconds of it take a moment.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from roomtape import (
    AudioRecorder,
    AudioRecordingConfiguration,
    make_vcon,
    verify_recording,
    write_vcon,
)
from roomtape.media.voices import load_voice
from roomtape.types.clock import ScriptedClock


def write_keys(directory: Path) -> tuple[Path, Path]:
    """As ``openssl genpkey -algorithm ed25519`` and ``openssl pkey -pubout`` write them."""
    key = Ed25519PrivateKey.generate()
    private, public = directory / "key.pem", directory / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


async def record(path: str, private: Path) -> None:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(path, sample_rate=48000, sign=private)
    async with AudioRecorder(config, clock=clock) as recorder:
        for name in ("alice", "bob"):
            source = recorder.add_source(name)
            source.push(load_voice(name, 48000), 48000)
            await clock.advance(10)
            source.close()
        recorder.mark("bob speaks", at=10.0)
        recorder.mark("all is said")


def main(path: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        private, public = write_keys(Path(directory))
        asyncio.run(record(path, private))
        print(verify_recording(path, key=public).words)
        vcon = make_vcon(path, subject="An example")
        print(f"{write_vcon(vcon, f'{path}.vcon')}: {len(vcon['parties'])} parties")
        # One bit is enough.
        whole = Path(path).read_bytes()
        Path(path).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        print(verify_recording(path, key=public).words)
        Path(path).write_bytes(whole)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "proven.wav")
