"""Names beside a recording: the older file, the part in the making, the ring."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import re
import stat
from pathlib import Path

from .disk import Disk

RING_SUFFIX = ".ring"
REPORT_SUFFIX = ".json"
_CUTS_SUFFIX = ".cuts"


def report_path(recording: Path) -> Path:
    """Where the report of a recording stands."""
    return recording.with_name(recording.name + REPORT_SUFFIX)


def stands_at(path: Path) -> bool:
    """Whether anything does.

    Raises:
        OSError: Nobody can know. (``Path.exists`` says no then, from Python 3.14 on.)
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise
    return True


def refuse_directory(path: Path) -> None:
    """A file there would be moved aside; moving a whole directory away is nobody's wish.

    Raises:
        IsADirectoryError: One stands there.
        OSError: Nobody can know.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if stat.S_ISDIR(path.lstat().st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def cuts_path(file: Path) -> Path:
    """Where it is noted, while a file is recorded to, what was cut out of it."""
    return file.with_name(file.name + _CUTS_SUFFIX)


def _with_notes(path: Path) -> tuple[Path, Path, Path]:
    """A recording, and what tells of it."""
    return path, report_path(path), cuts_path(path)


def move_aside(path: Path, disk: Disk) -> Path | None:
    """Rename what stands at ``path`` to ``name.1.ext``, or the first number that is free, and its
    report to ``name.1.ext.json``: what a report tells of is always the file that it stands beside.
    So is what a crash left of the cuts (``.cuts``).

    Returns:
        Where it is now, or would be if there had been more than a report; None if nothing stood
        there.

    Raises:
        OSError: It cannot be done; all stands where it stood.
    """
    if not any(map(os.path.lexists, _with_notes(path))):
        return None
    for number in itertools.count(1):
        aside = path.with_name(f"{path.stem}.{number}{path.suffix}")
        if any(map(os.path.lexists, _with_notes(aside))):
            continue
        moved = []
        try:
            try:
                for each, to in zip(_with_notes(path), _with_notes(aside), strict=True):
                    moved.append(_renamed(each, to, disk))
            except OSError:
                with contextlib.suppress(OSError):
                    if any(moved):
                        move_back(aside, path, disk)
                raise
        except FileExistsError:
            continue
        return aside if any(moved) else None
    raise AssertionError("the numbers do not end")


def move_back(aside: Path, path: Path, disk: Disk) -> None:
    """Undo :func:`move_aside`.

    Raises:
        OSError: It cannot be done.
    """
    for each, to in zip(_with_notes(aside), _with_notes(path), strict=True):
        _renamed(each, to, disk)


def _renamed(path: Path, to: Path, disk: Disk) -> bool:
    """Rename ``path``; False if nothing stands there, or somebody else has moved it meanwhile."""
    if not os.path.lexists(path):
        return False
    try:
        disk.rename_new(path, to)
    except FileNotFoundError:
        return False
    return True


def put_in_place(part: Path, path: Path, disk: Disk) -> Path | None:
    """Rename ``part`` to ``path``, moving aside whatever stands there.

    Returns:
        Where that is now; None if nothing stood there.

    Raises:
        OSError: It cannot be done; what stood there stands there again.
    """
    while True:
        aside = move_aside(path, disk)
        try:
            disk.rename_new(part, path)
        except FileExistsError:
            continue  # somebody was faster; theirs is moved aside too
        except OSError:
            if aside is not None:
                with contextlib.suppress(OSError):
                    move_back(aside, path, disk)
            raise
        return aside


def is_named(fd: int, path: Path) -> bool:
    """Whether ``path`` is the file that is open as ``fd``, and not another one of that name."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except OSError:
        return False


def opened_as(fd: int) -> Path | None:
    """What the name by which a file was opened is now, through renames of it and of its directory;
    None where it was removed, or the system does not tell."""
    try:
        there = Path(os.readlink(f"/proc/self/fd/{fd}"))  # noqa: PTH115
    except OSError:
        return None
    return there if is_named(fd, there) else None


class Whereabouts:
    """Knows where a file stands, whatever others rename it to.

    Args:
        fd: The file, open.
        path: Its name.
        disk: Where it is.

    Raises:
        OSError: It cannot be opened once more.
    """

    def __init__(self, fd: int, path: Path, disk: Disk) -> None:
        self._path = path
        # On Linux, what is opened by this name is followed by the kernel. (What ``fd`` was opened
        # by is the name of a part, which is gone.)
        self._followed = -1
        with contextlib.suppress(FileNotFoundError):  # somebody moved it aside in this very moment
            self._followed = disk.open_to_follow(path)
        if self._followed >= 0 and not os.path.samestat(os.fstat(fd), os.fstat(self._followed)):
            self.close()

    def now(self, fd: int) -> Path | None:
        """Where the file that is open as ``fd`` stands now.

        Returns:
            None if it was removed, or moved to where it cannot be found.
        """
        if is_named(fd, self._path):
            return self._path
        if self._followed >= 0:
            there = opened_as(self._followed)
            if there is not None and is_named(fd, there):
                return there
        with contextlib.suppress(OSError):
            return next((each for each in self._path.parent.iterdir() if is_named(fd, each)), None)
        return None

    def close(self) -> None:
        """Follow it no longer. Any number of times."""
        followed, self._followed = self._followed, -1
        if followed >= 0:
            os.close(followed)


def remove_ours(fd: int, path: Path, disk: Disk) -> bool:
    """Remove the file that is open as ``fd``, if it is what stands at ``path``.

    Returns:
        Whether it was.

    Raises:
        OSError: It cannot be removed.
    """
    if not is_named(fd, path):
        return False
    disk.remove(path)
    return True


def take_back(fd: int, path: Path, aside: Path | None, disk: Disk) -> None:
    """Undo :func:`put_in_place` of the file that is open as ``fd``, unless somebody else has the
    name by now.

    Raises:
        OSError: It cannot be done.
    """
    if remove_ours(fd, path, disk) and aside is not None:
        move_back(aside, path, disk)


def create_part(path: Path, disk: Disk) -> tuple[int, Path]:
    """Create a hidden file beside ``path``, to be renamed to it."""
    for number in itertools.count(1):
        # Without the target's own name, which may be as long as a name can be.
        part = path.with_name(f".roomtape-{os.getpid()}-{number}.part")
        try:
            return disk.create(part), part
        except FileExistsError:
            continue
    raise AssertionError("the numbers do not end")


def create_ring(path: Path, disk: Disk) -> tuple[int, Path]:
    """Create ``name.ext.ring``, or ``name.ext.1.ring`` and so on: an older ring, which a crash
    may have left, is never touched. It is locked before it has its name: nobody ever sees a ring
    of that name that is being recorded to and not locked.

    Raises:
        OSError: It cannot be created. Nothing is left behind then.
    """
    fd, part = create_part(path, disk)
    try:
        lock(fd)
        for number in itertools.count(0):
            middle = f".{number}" if number else ""
            ring = path.with_name(f"{path.name}{middle}{RING_SUFFIX}")
            if os.path.lexists(cuts_path(ring)):
                continue  # of a ring that somebody has removed
            try:
                disk.rename_new(part, ring)
            except FileExistsError:
                continue
            return fd, ring
        raise AssertionError("the numbers do not end")
    except BaseException:
        with contextlib.suppress(OSError):
            remove_ours(fd, part, disk)
        with contextlib.suppress(OSError):
            disk.close(fd)
        raise


def rings_beside(path: Path) -> list[Path]:
    """Every ring of ``path``, whoever it belongs to."""
    name = re.compile(re.escape(path.name) + r"(\.\d+)?" + re.escape(RING_SUFFIX))
    try:
        return sorted(each for each in path.parent.iterdir() if name.fullmatch(each.name))
    except OSError:
        return []


def parts_beside(path: Path) -> list[Path]:
    """The files of a recording to ``path`` that was split, in their order."""
    name = re.compile(re.escape(path.stem) + r"-(\d{3,})" + re.escape(path.suffix))
    try:
        found = [(name.fullmatch(each.name), each) for each in path.parent.iterdir()]
    except OSError:
        return []
    return [each for _, each in sorted((int(match[1]), each) for match, each in found if match)]


def unrecovered_rings(path: Path) -> list[Path]:
    """The rings of ``path`` that nobody records to any more: what crashes left."""
    return [ring for ring in rings_beside(path) if not _in_use(ring)]


def lock(fd: int) -> bool:
    """Mark a file as being recorded to; False if somebody else did. The lock dies with its
    process."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


def _in_use(ring: Path) -> bool:
    try:
        fd = os.open(ring, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not lock(fd)
    finally:
        os.close(fd)


def one_place(one: Path, other: Path) -> bool:
    """Whether two paths are one, whatever links lead to their directories."""
    if one.name != other.name:
        return False
    try:
        return one.parent.resolve() == other.parent.resolve()
    except (OSError, RuntimeError):  # a loop of links, say
        return one == other


def moved(path: Path, named: Path | None) -> str:
    """What became of a name while its file was open, in words; empty if it kept it."""
    if named == path:
        return ""
    if named is None:
        return f"{path} was removed while it was recorded to; all of it was written there again"
    return f"{path} was renamed while it was recorded to; it is at {named}"
