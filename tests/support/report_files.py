"""Recordings, and the reports beside them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def digest(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def written(path: Path) -> dict[str, Any]:
    """The report of ``path``."""
    said: dict[str, Any] = json.loads(beside(path).read_text())
    return said
