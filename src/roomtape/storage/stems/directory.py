"""The directory of a recording's stems, before there is one in it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ...types.errors import FileError
from ..disk import Disk
from ..naming import create_part


def stems_beside(path: Path) -> Path:
    """The directory of the stems of what is saved to ``path``."""
    return path.with_name(f"{path.stem}-stems")


class StemDirectory:
    """:meth:`reserve` once, and :meth:`discard` if nothing is recorded after all, any number of
    times. Both block as the disk does."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._made = False

    def reserve(self) -> None:
        """Make the directory if it is not there, and see whether it takes a file.

        Raises:
            FileError: It cannot be made, or takes none. Nothing is left behind then.
        """
        path, disk = self._path, self._disk
        try:
            with contextlib.suppress(FileExistsError):
                disk.call("mkdir", os.mkdir, path, 0o700)
                self._made = True
            fd, part = create_part(path / "any", disk)
            try:
                disk.remove(part)
            except OSError:
                with contextlib.suppress(OSError):  # a disk may fail once
                    disk.remove(part)
                raise
            finally:
                disk.close(fd)
        except OSError as error:
            self.discard()
            words = (error.strerror or str(error)).lower()
            raise FileError(f"no stems can be written to {path}: {words}") from None

    def discard(self) -> None:
        """Remove the directory if it was made here, and nothing is in it. Raises nothing."""
        made, self._made = self._made, False
        if made:
            with contextlib.suppress(OSError):
                self._disk.call("rmdir", os.rmdir, self._path)
