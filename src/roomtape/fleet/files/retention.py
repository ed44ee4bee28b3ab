"""Removing recordings that are older than they are to be kept."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ...storage.disk import Disk
from ...storage.naming import lock, report_path, stands_at
from .names import is_recording, is_report

logger = logging.getLogger(__name__)

_PART = ".roomtape-"
_EMPTY_FOLDER_S = 3600.0
"""A folder in which nothing has come or gone for so long is about to get nothing."""


@dataclass(slots=True)
class Removed:
    """What was removed."""

    files: int = 0
    bytes: int = 0


def remove_old(
    directory: Path,
    *,
    keep_s: float,
    now_s: float,
    in_use: Collection[Path],
    disk: Disk | None = None,
) -> Removed:
    """Remove recordings that ended longer ago, their reports, and folders that are empty.

    Only what a worker has named is touched, never a link, and nothing that is locked (it is being
    written, or recovered) or in the journal.

    Args:
        directory: With one folder a room.
        keep_s: For how long they are kept.
        now_s: The wall clock, as ``time.time()``.
        in_use: The files of the journal.
        disk: Where they are.
    """
    disk = disk or Disk()
    removed, older_than = Removed(), now_s - keep_s
    for folder in _folders(directory):
        for path in _files(folder):
            if is_recording(path.name) or _is_part(path.name):
                if path not in in_use and _remove(path, older_than, removed, disk):
                    _remove(report_path(path), float("inf"), removed, disk)
            elif is_report(path.name) and not stands_at(path.with_suffix("")):
                _remove(path, older_than, removed, disk)
        with contextlib.suppress(OSError):  # it is not empty, or gone
            if folder.stat().st_mtime < now_s - _EMPTY_FOLDER_S:
                folder.rmdir()
    return removed


def _folders(directory: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(
            Path(each.path)
            for each in os.scandir(directory)
            if each.is_dir(follow_symlinks=False) and not each.name.startswith(".")
        )
    return []


def _files(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(
            Path(each.path) for each in os.scandir(folder) if each.is_file(follow_symlinks=False)
        )
    return []


def _is_part(name: str) -> bool:
    return name.startswith(_PART) and name.endswith(".part")


def _remove(path: Path, older_than: float, removed: Removed, disk: Disk) -> bool:
    try:
        fd = disk.open_existing(path)
    except OSError:
        return False
    try:
        there = os.fstat(fd)
        if not stat.S_ISREG(there.st_mode) or there.st_mtime >= older_than or not lock(fd):
            return False
        disk.remove(path)
    except OSError as error:
        logger.warning("%s is old and cannot be removed: %s", path, error.strerror or error)
        return False
    finally:
        disk.close(fd)
    removed.files += 1
    removed.bytes += there.st_size
    return True
