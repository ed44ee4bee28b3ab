"""The report beside a recording: ``call.aac`` gets ``call.aac.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .disk import Disk
from .finishing import new_file
from .naming import report_path


def write_report_file(recording: Path, report: dict[str, Any], disk: Disk) -> Path:
    """Write ``report`` as JSON; an older report is moved aside.

    Raises:
        OSError: It cannot be written. Nothing is left behind then.
    """
    path = report_path(recording)
    data = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with new_file(path, disk) as fd:
        disk.write_at(fd, data.encode("utf-8", "surrogateescape"), 0)
    return path
