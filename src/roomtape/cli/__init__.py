"""The command line. Every command is a plain function in a file of its own, registered below.

Commands raise; :func:`main` turns what they raise into one line on stderr and an exit code:
0 success, 1 the operation failed, 2 wrong usage, 130 interrupted. With ``ROOMTAPE_DEBUG=1`` the
traceback comes too. What is heavy is imported inside the commands, so that ``--help`` is quick.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from ..types.errors import ConfigurationError, MissingExtraError, RoomtapeError
from . import demo, inspect, mix, record, recover, serve, token, worker
from .finished import export, verify

app = typer.Typer(
    help="Records what a real-time audio room hears.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve.serve)
app.command()(token.token)
app.command()(inspect.inspect)
app.command()(recover.recover)
app.command()(verify.verify)
app.command()(export.export)
app.command()(record.record)
app.command()(mix.mix)
app.command()(worker.worker)
app.command()(demo.demo)

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What stands behind ``roomtape``; None takes it from the command line.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    # NumPy's BLAS, which has but a few short products to compute here, would start more threads,
    # and they spin for 0.1 s before they sleep: more than it takes to mix a minute to WAV.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _log_to_stderr()
    # Names and numbers are told on any terminal, if need be as escapes.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        result = app(args=arguments or ["--help"], prog_name="roomtape", standalone_mode=False)
        # Flushed here, where a reader that went away can still be dealt with.
        sys.stdout.flush()
        return result if isinstance(result, int) else EXIT_OK
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python must not try to flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # the last place where a user could meet a traceback
        return _fail(error, arguments[0] if arguments else "")


_EXTRA_OF = {
    "demo": "all",
    "inspect": "plot",
    "recover": "sign",
    "serve": "server",
    "token": "server",
}
"""What brings the packages that a command needs."""


def _fail(error: Exception, command: str) -> int:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ModuleNotFoundError) and command in _EXTRA_OF:
        error = MissingExtraError(f"roomtape {command}", error, _EXTRA_OF[command])
    if _debugging():
        traceback.print_exception(error)
    code = EXIT_FAILED
    match error:
        case typer.TyperException():
            code = error.exit_code
            path = getattr(getattr(error, "ctx", None), "command_path", "roomtape")
            message = f"{error.format_message().rstrip('.')} (see {path} --help)"
        case ConfigurationError():
            code, message = EXIT_USAGE, str(error)
        case RoomtapeError():
            message = str(error)
        case typer.Abort():
            message = "aborted"
        case OSError():
            what = error.strerror or str(error) or type(error).__name__
            message = what if error.filename is None else f"{error.filename}: {what}"
        case _:
            message = (
                f"internal error: {type(error).__name__}: {error}; this is a bug, please report "
                "it with what ROOMTAPE_DEBUG=1 prints"
            )
    print(f"roomtape: {' '.join(message.split())}", file=sys.stderr)
    return code


def _debugging() -> bool:
    return os.environ.get("ROOMTAPE_DEBUG", "") not in ("", "0")


class _OneLine(logging.Formatter):
    """Log records as the user's errors look: one line, no traceback."""

    def format(self, record: logging.LogRecord) -> str:
        if _debugging():
            return super().format(record)
        error = record.exc_info[1] if record.exc_info else None
        line = f"{record.getMessage()}: {error}" if error else record.getMessage()
        return f"roomtape: {' '.join(line.split())}"


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level = logging.DEBUG if _debugging() else logging.WARNING
    logging.basicConfig(level=level, handlers=[handler])


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 (quick --help)
        from importlib.util import find_spec  # noqa: PLC0415

        built = find_spec("roomtape.audio.timing._native") is not None
        print(f"roomtape {version('roomtape')} ({'with' if built else 'without'} the accelerator)")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    pass
