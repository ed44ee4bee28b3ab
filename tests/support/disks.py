"""Real disks that are small, lose their power, hang, or become read-only. All need root."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NOLOGFLUSH = 2  # nothing that waits is written any more: the power is gone


def need_root() -> None:
    """Skip the test without root."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")


def cut_power(mount_point: Path) -> None:
    """From now on nothing reaches this ext4 disk, as if it had lost its power."""
    fd = os.open(mount_point, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
    finally:
        os.close(fd)


@contextmanager
def tmpfs(directory: Path, *, options: str) -> Iterator[Path]:
    """A small disk in memory at ``directory``; ``options`` as in ``size=2M,nr_inodes=9``."""
    directory.mkdir(exist_ok=True)
    run_as_root("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory))
    try:
        yield directory
    finally:
        run_as_root("umount", "--lazy", str(directory))


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Not even root can change, rename or remove ``path``."""
    run_as_root("chattr", "+i", str(path))
    try:
        yield
    finally:
        run_as_root("chattr", "-i", str(path))


class LoopDisk:
    """An ext4 file system in a file, to be harmed as a whole."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "mounted"
        self.path.mkdir()
        self._image = directory / "image"
        with self._image.open("wb") as image:
            image.truncate(256 << 20)
        run_as_root("mkfs.ext4", "-q", "-F", str(self._image))
        self._mounted = False
        self._frozen = False
        self.mount()

    def mount(self) -> None:
        # What Linux does with a disk on which it finds an error, by most distributions' default.
        options = "loop,errors=remount-ro"
        run_as_root("mount", "-o", options, str(self._image), str(self.path))
        self._mounted = True

    def unmount(self) -> None:
        self.thaw()
        if self._mounted:
            run_as_root("umount", str(self.path))
            self._mounted = False

    def freeze(self) -> None:
        """From now on whoever writes, syncs or creates waits."""
        self._frozen = True
        run_as_root("fsfreeze", "--freeze", str(self.path))

    def thaw(self) -> None:
        """Let all of them go on."""
        if self._frozen:
            run_as_root("fsfreeze", "--unfreeze", str(self.path))
            self._frozen = False

    def break_down(self) -> None:
        """The kernel finds an error on it, and makes it read-only for those who write to it too."""
        device = run_as_root("findmnt", "-no", "SOURCE", str(self.path)).strip()
        trigger = Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
        if not trigger.exists():
            pytest.skip("this kernel's ext4 has no trigger_fs_error")
        trigger.write_text("1")


@contextmanager
def loop_disk(directory: Path) -> Iterator[LoopDisk]:
    """See :class:`LoopDisk`."""
    disk = LoopDisk(directory)
    try:
        yield disk
    finally:
        disk.unmount()


def run_as_root(*command: str) -> str:
    """What a command printed; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
