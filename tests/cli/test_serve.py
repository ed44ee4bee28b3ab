from __future__ import annotations

import signal
import socket
import urllib.error
import urllib.request

import pytest

from support.program import Cli, assert_one_line_error
from support.serving import serving

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_ends_it_cleanly(number: signal.Signals):
    with serving() as (process, url):
        with urllib.request.urlopen(url, timeout=120) as page:
            assert page.status == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=120)
        assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize(("options", "status"), [((), 400), (("--no-whip",), 404)])
def test_it_takes_callers_over_http_unless_it_is_told_not_to(options: tuple[str, ...], status: int):
    with serving(*options) as (_, url):
        request = urllib.request.Request(
            f"{url}/whip/standup", b"v=0", {"Content-Type": "application/sdp"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=120)
        assert refused.value.code == status
        if status == 400:
            assert refused.value.read().decode().endswith("it must have audio in Opus\n")


def test_a_port_that_is_taken_is_one_line(run_here: Cli):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_here("serve", "--port", str(port))
    assert_one_line_error(done, 1, f"port {port} on 127.0.0.1 is taken")


def test_beyond_this_machine_it_refuses_to_listen_without_a_secret(run_here: Cli):
    done = run_here("serve", "--host", "0.0.0.0", "--port", "0")
    assert_one_line_error(done, 2, "0.0.0.0")
    assert "secret" in done.stderr


@pytest.mark.parametrize("allowed", [("--secret", SECRET), ("--insecure",)])
def test_beyond_this_machine_it_listens_with_a_secret_or_when_told_to_be_insecure(
    allowed: tuple[str, ...],
):
    with serving("--host", "0.0.0.0", *allowed) as (process, _):
        assert process.poll() is None


def test_an_empty_secret_and_an_impossible_port_are_wrong_usage(run_here: Cli):
    assert_one_line_error(run_here("serve", "--secret", ""), 2, "secret is empty")
    assert_one_line_error(run_here("serve", "--port", "70000"), 2, "70000")
