"""Decodes standard input: see the package."""

from __future__ import annotations

import os
import sys

import av  # noqa: F401 (what it needs is not counted)

from .adts import decode_adts
from .container import NoAudioError, decode_container, same_file, words_of
from .limits import allow_time, limit_memory
from .messages import FAILURE, send_said

_BUFFER_BYTES = 1 << 18


def main() -> None:
    """Decode; whatever goes wrong becomes a message."""
    kind = sys.argv[1]
    limit_memory()
    allow_time()
    size = os.fstat(0).st_size
    # The same file anew: another process may have read from this one.
    with (
        open(same_file(0).removeprefix("file:"), "rb", buffering=_BUFFER_BYTES) as file,  # noqa: PTH123
        os.fdopen(1, "wb", buffering=_BUFFER_BYTES) as pipe,
    ):
        try:
            if kind == "adts":
                if not decode_adts(file, size, pipe):
                    raise NoAudioError("none of its AAC frames can be decoded")
            else:
                decode_container(same_file(0), file, size, pipe, wav=kind == "wav")
        except NoAudioError as error:
            send_said(pipe, FAILURE, why=str(error), audio=error.audio)
        except MemoryError:
            send_said(pipe, FAILURE, why="decoding it takes too much memory", audio=True)
        except BrokenPipeError:
            raise
        except Exception as error:  # a codec may raise anything
            send_said(pipe, FAILURE, why=f"cannot be decoded: {words_of(error)}", audio=True)


if __name__ == "__main__":
    main()
