"""The report beside a recording: ``call.aac`` gets ``call.aac.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .disk import Disk
from .finishing import new_file
from .proof.canonical import escaped


def report_path(recording: Path) -> Path:
    """Where the report of a recording is."""
    return recording.with_name(recording.name + ".json")


def write_report_file(recording: Path, report: dict[str, Any], disk: Disk) -> Path:
    """Write ``report`` as JSON; an older report is moved aside.

    Raises:
        OSError: It cannot be written. Nothing is left behind then.
    """
    path = report_path(recording)
    # A name may hold bytes that are no text.
    data = escaped(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"
    with new_file(path, disk) as fd:
        disk.write_at(fd, data.encode(), 0)
    return path
