"""The report beside a recording: ``call.aac`` gets ``call.aac.json``."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from .disk import Disk
from .finishing import new_file
from .naming import create_part, report_path
from .proof.canonical import escaped
from .proof.seal import sealed

_MOST_BYTES = 64 << 20


def write_report_file(recording: Path, report: dict[str, Any], disk: Disk) -> Path:
    """Write ``report`` as JSON, sealed if it is not yet; an older report is moved aside.

    Raises:
        OSError: It cannot be written. Nothing is left behind then.
    """
    path = report_path(recording)
    data = _json(report if report.get("proof") else sealed(report, None))
    with new_file(path, disk) as fd:
        disk.write_at(fd, data, 0)
    return path


def read_report(path: Path) -> dict[str, Any]:
    """What a report says that anybody may have written.

    Args:
        path: Of the report itself.

    Raises:
        ValueError: It is none.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError("it is too large for a report")
    try:
        said = json.loads(data, object_pairs_hook=_once_each)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from None
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object")
    return said


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values of one name, whoever reads it could take either."""
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name stands in it twice")
    return names


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
    """Put ``report``, sealed anew, in the place of an older one, at once.

    Raises:
        OSError: It cannot be written. The older one is as it was.
    """
    path = report_path(recording)
    data = _json(sealed(report, None))
    fd, part = create_part(path, disk)
    try:
        disk.write_at(fd, data, 0)
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
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    return (escaped(text) + "\n").encode()  # a name may hold bytes that are no text
