"""Folders for copies of raw rows: gone with their owner, however it ends."""

import gc
import signal
import stat
import subprocess
import sys

import pytest

from lifemiles_forecasting.datasets.scratch import PREFIX, Scratch

OWNER = """
import sys
from lifemiles_forecasting.datasets.scratch import Scratch
scratch = Scratch(sys.argv[1])
(scratch.path / "rows.csv").write_text("00000900,CJFRE")
print(scratch.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path):
    """Another process with such a folder, which waits; and the folder."""
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        yield process, tmp_path / process.stdout.readline().strip()
        process.kill()


def test_it_is_for_its_owner_alone_and_goes_with_it(tmp_path):
    scratch = Scratch(tmp_path)
    path = scratch.path
    (path / "rows.csv").write_text("a row")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    del scratch
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_has_left_is_gone(tmp_path, owner):
    process, left = owner
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (left / "rows.csv").exists()
    scratch = Scratch(tmp_path)
    names = {path.name.removesuffix(".lock") for path in tmp_path.iterdir()}
    assert names == {scratch.path.name}


def test_folders_of_those_that_live_stay(tmp_path, owner):
    _, other = owner
    first, second = Scratch(tmp_path), Scratch(tmp_path)
    assert other.is_dir()
    assert first.path.is_dir()
    assert second.path.is_dir()


def test_folders_of_others_stay(tmp_path):
    (tmp_path / "transactions").mkdir()
    (tmp_path / f"{PREFIX}notes.txt").touch()
    Scratch(tmp_path)
    assert {"transactions", f"{PREFIX}notes.txt"} <= {path.name for path in tmp_path.iterdir()}
