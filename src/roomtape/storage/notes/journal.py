"""Which recordings are being made in a directory: what a crash leaves is found by it.

An entry is a small file, locked by whoever records for as long as that process lives. One that is
not locked belongs to nobody any more, and says what there is to recover.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..disk import Disk
from ..naming import create_part, is_named, lock

_SUFFIX = ".json"
_MOST_BYTES = 1 << 16


class Entry:
    """One entry, open and locked. Give it back with :meth:`close`, or remove it with
    :meth:`remove`; either any number of times."""

    def __init__(self, fd: int, path: Path, facts: dict[str, Any], disk: Disk) -> None:
        self._fd = fd
        self._path = path
        self._disk = disk
        self.facts = facts
        """What its owner wrote down when it began."""

    @property
    def name(self) -> str:
        return self._path.stem

    @property
    def age_s(self) -> float:
        """How old it is, by the wall clock."""
        return max(0.0, time.time() - os.fstat(self._fd).st_mtime)

    def remove(self) -> None:
        """The recording is finished, and needs no entry.

        Raises:
            OSError: It cannot be removed. It is closed all the same.
        """
        if self._fd < 0:
            return
        try:
            if is_named(self._fd, self._path):
                self._disk.remove(self._path)
        finally:
            self.close()

    def close(self) -> None:
        """Give it back as it is."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class Journal:
    """The entries of one directory.

    Args:
        directory: Where they are; made when the first one comes.
        disk: Where that is.
    """

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        self.directory = directory
        self._disk = disk or Disk()

    def enter(self, name: str, facts: dict[str, Any]) -> Entry:
        """Write down what is about to be recorded.

        Args:
            name: Of the entry: a file name without a suffix, that nobody else takes.
            facts: JSON-ready.

        Raises:
            OSError: It cannot be written, or there is one of that name. Nothing is left then.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / (name + _SUFFIX)
        fd, part = create_part(path, self._disk)
        try:
            # Locked before it has its name: nobody ever takes it for one that was left.
            lock(fd)
            self._disk.write_at(fd, json.dumps(facts).encode(), 0)
            self._disk.sync(fd)
            self._disk.rename_new(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                self._disk.remove(part)
            os.close(fd)
            raise
        return Entry(fd, path, facts, self._disk)

    def left(self) -> Iterator[Entry]:
        """The entries whose owners are gone, each locked for the caller until it closes it. What
        is no entry is passed over."""
        for path in self._paths():
            entry = self._open(path)
            if entry is not None:
                yield entry

    def facts(self) -> list[dict[str, Any]]:
        """What all entries say, whoever they belong to."""
        return [facts for path in self._paths() if (facts := self._read(path)) is not None]

    def _paths(self) -> list[Path]:
        try:
            return sorted(
                each
                for each in self.directory.iterdir()
                if each.suffix == _SUFFIX and not each.name.startswith(".")
            )
        except FileNotFoundError:
            return []

    def _open(self, path: Path) -> Entry | None:
        """None for one that is in use, or gone, or is none."""
        try:
            fd = self._disk.open_existing(path)
        except OSError:
            return None
        try:
            facts = self._facts(fd) if lock(fd) and is_named(fd, path) else None
            if facts is None:
                return None
            entry, fd = Entry(fd, path, facts, self._disk), -1
            return entry
        finally:
            if fd >= 0:
                os.close(fd)

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            fd = self._disk.open_existing(path)
        except OSError:
            return None
        try:
            return self._facts(fd)
        finally:
            os.close(fd)

    def _facts(self, fd: int) -> dict[str, Any] | None:
        try:
            facts = json.loads(self._disk.read_at(fd, _MOST_BYTES, 0))
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) else None
