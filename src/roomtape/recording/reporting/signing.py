"""The key that a report is signed with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ...storage.proof import signatures

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Signing:
    """:meth:`load` once, on a thread that may wait for a disk, before the recording starts.

    Args:
        path: The key's file; None for a report that is not signed.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = path
        self.key: Ed25519PrivateKey | None = None
        """None before it is loaded, and where there is none."""

    def load(self) -> None:
        """Read the key.

        Raises:
            ConfigurationError: It cannot be used.
            MissingExtraError: Nothing that could is installed.
        """
        if self._path is not None:
            with signatures():
                from ...storage.proof.keys import load_private_key  # noqa: PLC0415
            self.key = load_private_key(Path(os.fsdecode(self._path)))
