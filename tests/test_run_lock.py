"""The folder of the outputs: one run at a time holds it, and a place without writing is refused."""

import errno
import os
import re
from pathlib import Path

import pytest

from lifemiles_forecasting.core.errors import ConfigError, FullDiskError
from lifemiles_forecasting.run_lock import LOCK, OWNER, RunLock


def test_folder_is_made_held_and_let_go(tmp_path):
    first, second, folder = RunLock(), RunLock(), tmp_path / "new" / "out"
    first.take(folder)
    with pytest.raises(ConfigError, match=r"another run that writes to .* \(process \d+ on "):
        second.take(folder)
    first.release()
    second.take(folder)
    second.release()
    assert {path.name for path in folder.iterdir()} <= {LOCK, OWNER}


@pytest.mark.parametrize("below", ["", "deeper"])
def test_file_in_place_of_the_folder_is_one_clear_error(tmp_path, below):
    file = tmp_path / "out"
    file.write_text("mine")
    message = f"found no way to write to data_root = {file / below}: "
    with pytest.raises(ConfigError, match=re.escape(message)):
        RunLock().take(file / below)
    assert file.read_text() == "mine"


def test_full_disk_is_one_clear_error_and_the_folder_is_let_go(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(FullDiskError, match="found a full disk while writing; free are: "):
            RunLock().take(tmp_path)
    lock = RunLock()
    lock.take(tmp_path)
    lock.release()


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
