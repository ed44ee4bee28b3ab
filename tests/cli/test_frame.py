"""What all commands have in common: help, errors, exit codes."""

from __future__ import annotations

import pytest
import typer

from roomtape import cli
from roomtape.types.errors import ConfigurationError, RoomError
from support.program import Cli, assert_one_line_error, run_python, run_roomtape, start_roomtape


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command that raises ``error``."""

    def raise_it(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", raise_it)
    return cli.main(["anything"])


def test_without_a_command_the_help_is_shown():
    done = run_roomtape()
    assert done.returncode == 0
    assert "Usage: roomtape" in done.stdout
    assert "inspect" in done.stdout


def test_the_help_imports_nothing_of_what_the_commands_need():
    code = (
        "import roomtape.cli, sys; roomtape.cli.main(['--help'])\n"
        "heavy = {'matplotlib', 'jwt', 'rich', 'roomtape.server', 'roomtape.analysis.inspect'}\n"
        "sys.exit(' '.join(heavy & {*sys.modules}))"
    )
    assert run_python(code).stderr.strip() == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspekt"], "No such command 'inspekt'"),
        (["inspect"], "Missing argument"),
        (["inspect", "--nosuch", "a.wav"], "No such option"),
        (["serve", "--port", "abc"], "'--port'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(arguments: list[str], words: str, run_here: Cli):
    assert_one_line_error(run_here(*arguments), 2, words)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RoomError("the room is gone"), 1, "roomtape: the room is gone\n"),
        (ConfigurationError("rate 7"), 2, "roomtape: rate 7\n"),
        (OSError(28, "No space left on device", "/x/a.wav"), 1, "/x/a.wav: No space left"),
        (TimeoutError(), 1, "roomtape: TimeoutError\n"),
        (RoomError("two\nlines"), 1, "roomtape: two lines\n"),
        (ExceptionGroup("g", [RoomError("inner")]), 1, "roomtape: inner\n"),
        (KeyError("x"), 1, "roomtape: internal error: KeyError: 'x'"),
    ],
)
def test_whatever_a_command_raises_is_one_line(
    error: Exception,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.delenv("ROOMTAPE_DEBUG", raising=False)
    assert fail_with(error, monkeypatch) == code
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1


def test_debugging_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("ROOMTAPE_DEBUG", "1")
    assert fail_with(RoomError("gone"), monkeypatch) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_that_no_command_handles_is_exit_130(monkeypatch: pytest.MonkeyPatch):
    def interrupted(word: str) -> None:
        raise KeyboardInterrupt

    app = typer.Typer()
    app.command()(interrupted)
    monkeypatch.setattr(cli, "app", app)
    assert cli.main(["anything"]) == 130


def test_what_is_logged_with_an_exception_is_one_line_without_a_traceback():
    code = (
        "import logging, roomtape.cli as cli\n"
        "cli.main(['--version'])\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('roomtape.x').exception('the callback failed')"
    )
    done = run_python(code)
    assert done.stderr == "roomtape: the callback failed: division by zero\n"


def test_output_that_nobody_reads_any_more_is_no_error():
    with start_roomtape("--help") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
