"""Disks that do harm, at the one seam where recordings meet the operating system."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roomtape.storage.disk import Disk

SHORT = -1
"""In place of an errno: half of the write is done, and no error told."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when.

    Attributes:
        at: The number of the call that fails, from 0, over calls of every kind.
        errno: What it fails with, or :data:`SHORT`.
        lasting: "once"; "kind": so does every later call of the same name; "all": every later
            call.
    """

    at: int
    errno: int
    lasting: str = "once"


class FaultyDisk(Disk):
    """Counts every call by name, and fails as ``fault`` says."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.calls: list[str] = []
        self.hit = ""
        """The name of the call that failed first."""

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        fault = self.fault
        if fault is None or number < fault.at:
            return function(*args)
        if number == fault.at:
            self.hit = name
        due = number == fault.at or (
            fault.lasting == "all" or (fault.lasting == "kind" and name == self.hit)
        )
        if not due or (fault.errno == SHORT and name != "write"):
            return function(*args)
        if fault.errno == SHORT:
            fd, data, offset = args
            return function(fd, data[: max(1, len(data) // 2)], offset)
        if name == "close":
            function(*args)  # it is closed all the same, as close(2) says
        raise OSError(fault.errno, os.strerror(fault.errno))


class NotingDisk(Disk):
    """Notes every write and sync with its place, to tell their order."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, int, bytes]] = []
        """Name; offset or 0; the bytes of a write."""

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        data, offset = (bytes(args[1]), args[2]) if name == "write" else (b"", 0)
        self.notes.append((name, offset, data))
        return function(*args)


class HangingDisk(Disk):
    """Calls of some names wait, once it hangs, until it is released."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._going = threading.Event()
        self._going.set()
        self.waiting = threading.Event()
        """A call has begun to wait."""

    def hang(self) -> None:
        self._going.clear()

    def release(self) -> None:
        self._going.set()

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        if name in self._names and not self._going.is_set():
            self.waiting.set()
            assert self._going.wait(120), "nobody released the disk"
        return function(*args)


class Snapshots(Disk):
    """Keeps what is on the disk before each call: what a kill would leave there."""

    def __init__(self, directory: Path, to: Path) -> None:
        self.on = False
        self._calls = 0
        self._directory = directory
        self._to = to

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        if self.on:
            shutil.copytree(self._directory, self._to / f"{self._calls:03d}-{name}")
            self._calls += 1
        return function(*args)


class HarmWhileOn(FaultyDisk):
    """Counts, and fails, only while it is :attr:`on`."""

    def __init__(self) -> None:
        super().__init__()
        self.on = False

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        return super().call(name, function, *args) if self.on else function(*args)


class KilledAtTheEnd(Disk):
    """Everything works until a cyclic recording would be finished."""

    def read_at(self, fd: int, count: int, offset: int) -> bytes:
        raise OSError(5, "killed")
