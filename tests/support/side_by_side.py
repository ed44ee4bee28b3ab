"""Which tests keep together when they run side by side.

pytest-xdist's own ``--dist=loadgroup`` does the same by a marker, but writes it into what pytest
takes for a test's name, which pytest 9.2 no longer allows.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

PLAYED_ONCE = ("tests/network/", "tests/livekit_rooms/")
"""In each file of these folders a scene is played once, or a server is started, for many tests."""


class SideBySide(LoadScopeScheduling):
    """Gives each worker the next test as soon as it is free; a scene and its tests stay together,
    and come first."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith(PLAYED_ONCE) else nodeid
