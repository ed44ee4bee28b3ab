from __future__ import annotations

import jwt

from support.program import Cli, assert_one_line_error

SECRET = "0123456789abcdef0123456789abcdef"
WHO = ("--room", "standup", "--uid", "alice")


def claims_of(printed: str) -> dict[str, object]:
    return jwt.decode(printed.strip(), SECRET, algorithms=["HS256"])


def test_a_token_is_signed_for_one_room_and_one_uid(run_here: Cli):
    done = run_here("token", "--secret", SECRET, *WHO)
    assert (done.returncode, done.stderr) == (0, "")
    claims = claims_of(done.stdout)
    assert (claims["room"], claims["uid"]) == ("standup", "alice")


def test_the_secret_can_come_from_the_environment(run_here: Cli):
    done = run_here("token", *WHO, env={"ROOMTAPE_SECRET": SECRET})
    assert claims_of(done.stdout)["uid"] == "alice"


def test_a_token_lives_as_long_as_asked_for(run_here: Cli):
    short, long = (
        claims_of(run_here("token", "--secret", SECRET, *WHO, "--ttl", ttl).stdout)["exp"]
        for ttl in ("1000", "100000")
    )
    assert 99_000 <= long - short < 99_100


def test_a_missing_secret_and_a_senseless_ttl_are_wrong_usage(run_here: Cli):
    assert_one_line_error(run_here("token", *WHO), 2, "Missing option '--secret'")
    done = run_here("token", "--secret", SECRET, *WHO, "--ttl", "-1")
    assert_one_line_error(done, 2, "-1")
