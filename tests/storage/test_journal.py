"""What is being recorded is in the journal; what a crash left can be told from what is in use."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from roomtape.storage.notes.journal import Journal
from support.faulty_disk import Fault, FaultyDisk
from support.program import roomtape_environment

FACTS = {"file": "/data/a.aac", "lease": 1}


def test_an_entry_belongs_to_its_owner_until_it_is_closed(tmp_path: Path):
    journal = Journal(tmp_path / "journal")
    assert list(journal.left()) == []
    entry = journal.enter("a", FACTS)
    assert journal.facts() == [FACTS]
    assert list(Journal(tmp_path / "journal").left()) == []
    entry.close()
    entry.close()
    (left,) = journal.left()
    assert (left.name, left.facts) == ("a", FACTS)
    assert left.age_s >= 0
    assert list(journal.left()) == []  # whoever found it has it now
    left.remove()
    left.remove()
    assert journal.facts() == []


def test_a_name_is_taken_once(tmp_path: Path):
    journal = Journal(tmp_path)
    with_entry = journal.enter("a", FACTS)
    with pytest.raises(FileExistsError):
        journal.enter("a", {"file": "another"})
    assert journal.facts() == [FACTS]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    with_entry.close()


def test_an_entry_that_was_replaced_is_not_removed(tmp_path: Path):
    entry = Journal(tmp_path).enter("a", FACTS)
    (tmp_path / "a.json").unlink()
    Journal(tmp_path).enter("a", {"file": "another"}).close()
    entry.remove()
    assert Journal(tmp_path).facts() == [{"file": "another"}]


def test_what_is_no_entry_is_passed_over(tmp_path: Path):
    (tmp_path / "odd.json").write_text("[1, 2")
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "note.txt").write_text("{}")
    (tmp_path / ".hidden.json").write_text("{}")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "note.txt")
    assert list(Journal(tmp_path).left()) == []
    assert Journal(tmp_path).facts() == []


@pytest.mark.parametrize("call", range(4))
def test_a_disk_that_fails_leaves_no_entry(tmp_path: Path, call: int):
    disk = FaultyDisk(Fault(call, errno.EIO))
    with pytest.raises(OSError, match=r"."):
        Journal(tmp_path / "journal", disk).enter("a", FACTS)
    assert list((tmp_path / "journal").iterdir()) == []


OWNER = """
import sys, time
from pathlib import Path
from roomtape.storage.notes.journal import Journal
entry = Journal(Path(sys.argv[1])).enter("a", {"file": "/data/a.aac"})
print("entered", flush=True)
time.sleep(600)
"""


def test_the_entry_of_a_killed_process_is_left(tmp_path: Path):
    command = [sys.executable, "-c", OWNER, tmp_path]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=roomtape_environment()
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "entered\n"
        assert list(Journal(tmp_path).left()) == []
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    (left,) = Journal(tmp_path).left()
    assert left.facts == {"file": "/data/a.aac"}
    left.close()
