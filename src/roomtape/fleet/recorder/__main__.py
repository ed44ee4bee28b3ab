"""``python -m roomtape.fleet.recorder``: a worker starts these. The first line says how to record,
and holds the key of the service: neither the arguments nor the environment do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ...rooms import LiveKitRoom
from ...types import AudioRecordingQuality, Consent
from ..logs import LogFormat, log_to_stderr
from ..options import Service
from ..service import recorder_token
from .process import Entrance, RecorderProcess, own_pipes, serve_orders
from .room_recording import Setting


def main() -> None:
    """Read how, and record until there are no more orders."""
    orders, told = own_pipes()
    line = b""
    while not line.endswith(b"\n"):  # unbuffered: what follows is for the loop to read
        byte = orders.read(1)
        if not byte:
            sys.exit(0)
        line += byte
    given = json.loads(line)
    service = Service(given["url"], given["key"], given["secret"])
    log_to_stderr(
        LogFormat(given["log"]),
        worker=given["worker"],
        secrets=[service.secret],
        debug=given["debug"],
    )
    setting = Setting(
        worker=given["worker"],
        directory=Path(given["directory"]),
        sample_rate=given["sample_rate"],
        quality=AudioRecordingQuality(given["quality"]),
        exclude=tuple(given["exclude"]),
        consent=Consent(given["consent"]),
        beep_s=given["beep_s"],
        alone_s=given["alone_s"],
    )
    entrance = Entrance(
        room=partial(LiveKitRoom, service.url),
        token=lambda room, identity: recorder_token(
            service, room, identity, given["visible"], beeps=setting.beep_s is not None
        ),
    )
    asyncio.run(serve_orders(lambda tell: RecorderProcess(entrance, setting, tell), orders, told))


main()
