"""``roomtape``, and ``python -m roomtape``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line, or say what it lacks."""
    try:
        from .cli import main as run  # noqa: PLC0415 (it needs what not everybody has)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("roomtape"):
            raise
        from .types.errors import MissingExtraError  # noqa: PLC0415

        print(f"roomtape: {MissingExtraError('the command line', error, 'cli')}", file=sys.stderr)  # noqa: T201
        return 1
    return run()


if __name__ == "__main__":
    sys.exit(main())
