"""What :mod:`limit` compares with: ``limit_child.py encode|write IN.wav OUT``."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    what, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    with source.open("rb") as wav, target.open("wb") as out:
        header = wav.read(80)  # Roomtape's own header
        if what == "write":
            out.write(header)
            while data := wav.read(1 << 20):
                out.write(data)
        else:
            import numpy as np  # noqa: PLC0415

            from roomtape.audio.aac import AacEncoder  # noqa: PLC0415
            from roomtape.types import AudioRecordingQuality  # noqa: PLC0415

            encoder = AacEncoder(32000, AudioRecordingQuality.MEDIUM)
            while data := wav.read(2 * 32000):
                out.writelines(encoder.encode(np.frombuffer(data, "<i2").astype(np.float32)))
            out.writelines(encoder.finish())
        out.flush()
        os.fdatasync(out.fileno())


if __name__ == "__main__":
    main()
