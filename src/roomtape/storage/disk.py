"""The one seam between recordings and the operating system.

Every call that creates, writes, syncs, renames or removes a recording goes through a
:class:`Disk`. Tests put another one in its place and do harm at the n-th call.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_RENAMEAT2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc 2.28, Linux
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1

_NO_RETRY_LIMIT = 100  # an "interrupted" that never ends is an error, not a hang


class Disk:
    """The machine's file system. All methods raise OSError, and may block as long as the disk
    does: they belong on a thread of their own."""

    def call(self, name: str, function: Callable[..., T], *args: Any) -> T:
        """Every system call passes here, by its name; the place to inject faults."""
        del name
        return function(*args)

    def create(self, path: Path) -> int:
        """Create ``path`` for reading and writing, mode 0600. It must not exist; a symlink there
        is not followed."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return self.call("open", os.open, path, flags, 0o600)

    def open_existing(self, path: Path) -> int:
        """Open for reading: nobody writes into what is there already."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        return self.call("open", os.open, path, flags)

    def open_to_follow(self, path: Path) -> int:
        """A descriptor that only tells where the file is, through every rename; -1 where the system
        has none."""
        if not hasattr(os, "O_PATH"):
            return -1
        return self.call("open", os.open, path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)

    def duplicate(self, fd: int) -> int:
        """One more descriptor of the same file, for another thread to read by."""
        return self.call("dup", os.dup, fd)

    def write_at(self, fd: int, data: bytes | memoryview, offset: int) -> None:
        """Write all of ``data`` at ``offset``, however many calls it takes."""
        view = memoryview(data)
        interrupted = 0
        while view:
            try:
                written = self.call("write", os.pwrite, fd, view, offset)
            except InterruptedError:
                interrupted += 1
                if interrupted > _NO_RETRY_LIMIT:
                    raise
                continue
            if written == 0:
                raise OSError(errno.ENOSPC, "the disk takes no more data")
            view, offset = view[written:], offset + written

    def read_at(self, fd: int, count: int, offset: int) -> bytes:
        """Read ``count`` bytes from ``offset`` on; fewer only where the file ends."""
        pieces: list[bytes] = []
        interrupted = 0
        while count:
            try:
                piece = self.call("read", os.pread, fd, count, offset)
            except InterruptedError:
                interrupted += 1
                if interrupted > _NO_RETRY_LIMIT:
                    raise
                continue
            if not piece:
                break
            pieces.append(piece)
            count, offset = count - len(piece), offset + len(piece)
        return b"".join(pieces)

    def allocate(self, fd: int, size: int) -> None:
        """Reserve ``size`` bytes, so that writing them cannot fail for want of space."""
        self.call("allocate", os.posix_fallocate, fd, 0, size)

    def truncate(self, fd: int, size: int) -> None:
        self.call("truncate", os.ftruncate, fd, size)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def sync(self, fd: int) -> None:
        """Have everything written so far survive a power cut."""
        self.call("fsync", os.fdatasync, fd)

    def close(self, fd: int) -> None:
        self.call("close", os.close, fd)

    def rename_new(self, source: Path, target: Path) -> None:
        """Rename; FileExistsError if ``target`` exists, which then is untouched."""
        try:
            self.call("rename_new", _rename_new, source, target)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
            self._link_and_unlink(source, target)

    def _link_and_unlink(self, source: Path, target: Path) -> None:
        """The same where the system or the file system cannot do it at once: for a moment the file
        has both names, and others who rename ``source`` meanwhile can be in the way."""
        try:
            self.call("link", _link, source, target)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                raise
            # A file system without hard links (FAT, some network mounts).
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "exists", str(target)) from None
            self.call("rename", os.rename, source, target)
            return
        try:
            self.call("unlink", os.unlink, source)
        except OSError:
            with contextlib.suppress(OSError):  # one name again, the old one
                self.call("unlink", os.unlink, target)
            raise

    def replace(self, source: Path, target: Path) -> None:
        """Rename; what stood at ``target`` is gone. For notes of our own, never for recordings."""
        self.call("rename", os.replace, source, target)

    def remove(self, path: Path) -> None:
        self.call("unlink", os.unlink, path)

    def sync_directory(self, path: Path) -> None:
        """Have renames in this directory survive a power cut."""
        fd = self.call("open", os.open, path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.call("fsync", os.fsync, fd)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some network mounts cannot sync directories
                raise
        finally:
            os.close(fd)

    def free_bytes(self, path: Path) -> int:
        there = os.statvfs(path)
        return there.f_bavail * there.f_frsize


def _rename_new(source: Path, target: Path) -> None:
    """renameat2(2) with RENAME_NOREPLACE: no other name is ever in its way, nor this in another's.

    Raises:
        OSError: Among others, EINVAL: the file system cannot; ENOSYS: the system cannot.
    """
    if _RENAMEAT2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = (os.fsencode(source), os.fsencode(target))
    if _RENAMEAT2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(source), None, str(target))


def _link(source: Path, target: Path) -> None:
    os.link(source, target, follow_symlinks=False)
