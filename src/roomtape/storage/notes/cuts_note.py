"""What was cut out of a file that is being recorded to, for those who come after a crash.

A small file beside it, ``call.wav.cuts`` or ``call.wav.ring.cuts``. It is on the disk before
anything that was heard after the cut is in the file, so a crash leaves no cut that is not known.
When the file is finished and its report is there, which has them too, the note goes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...types import NS_PER_S, TimeCut
from ..disk import Disk
from ..naming import create_part, cuts_path

_MOST_CUTS = 10_000
_MOST_BYTES = 1 << 20

Places = Sequence[tuple[int, int]]
"""Where cuts are, on the recording's clock without them, and how long each was: nanoseconds."""


class CutsNote:
    """Of one file; on one thread. It stays where the file does, until :func:`remove_note`.

    Args:
        file: What is recorded to.
        disk: Where it is.
    """

    def __init__(self, file: Path, disk: Disk) -> None:
        self._path = cuts_path(file)
        self._disk = disk
        self._places: Places = ()

    def write(self, places: Places, begins_ns: int) -> None:
        """Have it on the disk.

        Args:
            places: All cuts of the recording so far.
            begins_ns: Where in the recording the file begins; what was cut out before is no matter.

        Raises:
            OSError: It cannot be written. What was noted before is.
        """
        within = [[at_ns, lasted_ns] for at_ns, lasted_ns in places if at_ns > begins_ns]
        if not within:
            return
        disk = self._disk
        fd, part = create_part(self._path, disk)
        try:
            data = json.dumps({"begins_ns": begins_ns, "cuts": within}).encode()
            disk.write_at(fd, data, 0)
            disk.sync(fd)
            disk.replace(part, self._path)
            self._places = places
        except BaseException:
            with contextlib.suppress(OSError):
                disk.remove(part)
            raise
        finally:
            disk.close(fd)
        disk.sync_directory(self._path.parent)

    def hand_on(self, file: Path, begins_ns: int) -> None:
        """Note the same beside the file that this one has become. Raises nothing."""
        with contextlib.suppress(OSError):
            CutsNote(file, self._disk).write(self._places, begins_ns)

    def remove(self) -> None:
        """There is no such file any more. Raises nothing, and may come twice."""
        places, self._places = self._places, ()
        if places:
            with contextlib.suppress(OSError):
                self._disk.remove(self._path)


def remove_note(file: Path, disk: Disk) -> None:
    """The report of the file is there. Raises nothing."""
    if os.path.lexists(cuts_path(file)):
        with contextlib.suppress(OSError):
            disk.remove(cuts_path(file))


def noted_cuts(file: Path, disk: Disk) -> tuple[int, Places]:
    """What a note says that a crash left: where in the recording the file begins, in nanoseconds,
    and the cuts; none where there is no note that can be read."""
    try:
        fd = disk.open_existing(cuts_path(file))
    except OSError:
        return 0, ()
    try:
        match json.loads(disk.read_at(fd, _MOST_BYTES, 0)):
            case {"begins_ns": int() as begins_ns, "cuts": list() as given}:
                places = [each for each in given[:_MOST_CUTS] if _is_place(each)]
                return begins_ns, tuple(sorted((at_ns, lasted_ns) for at_ns, lasted_ns in places))
    except (OSError, ValueError, RecursionError):
        pass
    finally:
        with contextlib.suppress(OSError):
            disk.close(fd)
    return 0, ()


def cuts_within(places: Places, begins_ns: int, length_ns: int) -> tuple[TimeCut, ...]:
    """Those inside of a file, on its clock."""
    return tuple(
        TimeCut((at_ns - begins_ns) / NS_PER_S, lasted_ns / NS_PER_S)
        for at_ns, lasted_ns in places
        if 0 < at_ns - begins_ns < length_ns
    )


def _is_place(given: Any) -> bool:
    return (
        isinstance(given, list)
        and len(given) == 2
        and all(type(each) is int and 0 <= each < 1 << 63 for each in given)
    )
