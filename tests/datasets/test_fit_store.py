"""The folder of fits: whole or absent, whatever happens to its files."""

import errno
import logging
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from lifemiles_forecasting.core import backtest
from lifemiles_forecasting.core.study import build_study, prepare
from lifemiles_forecasting.core.synthetic import generate_series, small_settings
from lifemiles_forecasting.core.training_ledger import RECORD
from lifemiles_forecasting.datasets.aside import clear_parts
from lifemiles_forecasting.datasets.fit_store import FitStoreDataset, FolderOfFits

KEY, OTHER = "a" * 64, "b" * 64
BLOB = bytes(range(256)) * 4


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models" / "fits"


@pytest.fixture
def fits(folder):
    return FolderOfFits(folder)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_put_is_found_by_the_next_run(fits, folder):
    assert fits.get(KEY) is None
    assert not folder.exists()
    fits.put(KEY, BLOB)
    fits.put(OTHER, b"")
    again = FolderOfFits(folder)
    assert (again.get(KEY), again.get(OTHER)) == (BLOB, b"")
    again.put(KEY, b"newer")
    assert fits.get(KEY) == b"newer"
    assert names(folder) == [f"{KEY}.fit", f"{OTHER}.fit"]


def test_one_damaged_byte_anywhere_is_as_good_as_nothing(fits, folder):
    fits.put(KEY, BLOB[:64])
    path = folder / f"{KEY}.fit"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert fits.get(KEY) is None, place
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert fits.get(KEY) is None, length
    path.write_bytes(whole + b"\0")
    assert fits.get(KEY) is None
    path.write_bytes(whole)
    assert fits.get(KEY) == BLOB[:64]


def test_file_under_a_foreign_name_is_not_taken_for_another(fits, folder):
    fits.put(KEY, BLOB)
    (folder / f"{KEY}.fit").rename(folder / f"{OTHER}.fit")
    assert fits.get(OTHER) is None


def test_what_cannot_be_touched_or_removed_is_told_once_and_ends_no_run(fits, monkeypatch, caplog):
    """A folder of another owner, or one that may only be read."""

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    fits.put(KEY, BLOB)
    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(os, "utime", refuse)
    assert fits.get(KEY) == BLOB
    fits.keep_only([])
    fits.shrink(0)
    assert fits.get(KEY) == BLOB
    assert caplog.messages == [
        "Fits that no run needs any longer cannot be removed: [Errno 13] Permission denied"
    ]


def test_only_what_is_wanted_is_kept(fits, folder):
    for key in (KEY, OTHER):
        fits.put(key, BLOB)
    (folder / "notes.txt").write_text("of somebody else")
    fits.keep_only({OTHER, "never put"})
    assert names(folder) == [f"{OTHER}.fit", "notes.txt"]
    FolderOfFits(folder / "not there").keep_only(set())


def test_loading_removes_what_was_used_longest_ago(folder):
    fits = FolderOfFits(folder)
    keys = [digit * 64 for digit in "0123"]
    for age, key in enumerate(keys):
        fits.put(key, BLOB)
        os.utime(folder / f"{key}.fit", (1e9 + age, 1e9 + age))
    assert fits.get(keys[0]) == BLOB  # used just now
    size = (folder / f"{keys[0]}.fit").stat().st_size
    for room, left in ((4 * size, keys), (3 * size - 1, [keys[0], keys[3]]), (0, [])):
        FitStoreDataset(filepath=str(folder), max_bytes=room).load()
        assert names(folder) == [f"{key}.fit" for key in left]


def test_a_full_disk_is_told_once_and_the_run_goes_on(fits, folder, caplog):
    """A limit on the size of files fails in the same place as a disk without room."""
    fits.put(KEY, b"before")
    usual = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                fits.put(KEY, BLOB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, usual)
    assert [record.getMessage() for record in caplog.records] == [
        "Fits are not kept for a later run: [Errno 27] File too large"
    ]
    assert fits.get(KEY) == b"before"
    assert names(folder) == [f"{KEY}.fit"]


def test_a_kill_while_a_fit_is_written_leaves_nothing_in_its_place(folder):
    program = (
        "import os, pathlib, signal\n"
        "from lifemiles_forecasting.datasets.fit_store import FolderOfFits\n"
        "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"FolderOfFits(pathlib.Path({str(folder)!r})).put({KEY!r}, b'x' * 1000)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode == -signal.SIGKILL
    fits = FolderOfFits(folder)
    assert fits.get(KEY) is None
    assert len(clear_parts(folder)) == 1
    assert names(folder) == []


def test_damaged_files_change_no_forecast(fits, folder):
    """One bit of every third file, at random places; those alone are made again."""
    series = generate_series(n_stores=4, n_days=200).series
    settings = small_settings(candidates=("base", "direct", "local_catboost", "ridge"))
    study = build_study(*prepare(series, 14, 56, None), 14, settings, 7, fits=fits)
    first = backtest.run(study).y_hat
    rng, damaged = np.random.default_rng(5), sorted(folder.iterdir())[::3]
    before = {path: path.stat().st_ino for path in folder.iterdir()}
    for path in damaged:
        content = bytearray(path.read_bytes())
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(content)
    again = backtest.run(study).y_hat
    assert {name: values.tobytes() for name, values in again.items()} == {
        name: values.tobytes() for name, values in first.items()
    }
    after = {path: path.stat().st_ino for path in folder.iterdir()}
    record = folder / f"{RECORD}.fit"
    remade = {path for path in before if after.get(path) != before[path]}
    assert before.keys() == after.keys()
    assert remade - {record} == set(damaged) - {record}


def test_catalog_entry_says_where_and_is_not_saved_to(folder):
    dataset = FitStoreDataset(filepath=str(folder), max_bytes=10)
    assert dataset.exists()
    assert str(folder) in repr(dataset)
    with pytest.raises(DatasetError, match=r"then written to by training$"):
        dataset.save(1)
