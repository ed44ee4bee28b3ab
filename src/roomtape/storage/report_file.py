"""The report beside a recording: ``call.aac`` gets ``call.aac.json``."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from .disk import Disk
from .finishing import new_file
from .naming import create_part, report_path

_MOST_BYTES = 64 << 20


def write_report_file(recording: Path, report: dict[str, Any], disk: Disk) -> Path:
    """Write ``report`` as JSON; an older report is moved aside.

    Raises:
        OSError: It cannot be written. Nothing is left behind then.
    """
    path = report_path(recording)
    with new_file(path, disk) as fd:
        disk.write_at(fd, _json(report), 0)
    return path


def read_report_file(recording: Path, disk: Disk) -> dict[str, Any] | None:
    """The report beside ``recording``; None where there is none that can be read."""
    try:
        fd = disk.open_existing(report_path(recording))
    except OSError:
        return None
    try:
        report = json.loads(disk.read_at(fd, _MOST_BYTES, 0))
    except (OSError, ValueError):
        return None
    finally:
        disk.close(fd)
    return report if isinstance(report, dict) else None


def replace_report_file(recording: Path, report: dict[str, Any], disk: Disk) -> None:
    """Put ``report`` in the place of an older one, at once.

    Raises:
        OSError: It cannot be written. The older one is as it was.
    """
    path = report_path(recording)
    fd, part = create_part(path, disk)
    try:
        disk.write_at(fd, _json(report), 0)
        disk.sync(fd)
        disk.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.remove(part)
        raise
    finally:
        disk.close(fd)
    disk.sync_directory(path.parent)


def _json(report: dict[str, Any]) -> bytes:
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "surrogateescape")
