"""A restore that cannot be ended leaves the store as it was."""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking import restore as restoring
from lifemiles_forecasting.tracking.backup import backup
from lifemiles_forecasting.tracking.database import snapshot
from lifemiles_forecasting.tracking.restore import restore
from lifemiles_forecasting.tracking.synthetic import synthetic_training


@pytest.fixture
def uri(client, tmp_path):
    """Of a store with a training; beside it is a backup of it, and then came another training."""
    synthetic_training(client, "1", stores=1)
    backup(client.tracking_uri, tmp_path / "backup")
    synthetic_training(client, "1", stores=1)
    client._tracking_client.store._dispose_engine()
    return client.tracking_uri


def state(folder):
    """Names of all files with their content, and every row."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        rows = list(database.iterdump())
    known = [path for path in sorted(folder.rglob("*")) if path.name != "mlflow.db"]
    return rows, {str(path): path.is_file() and path.read_bytes() for path in known}


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("failing", [1, 2])
def test_no_room_for_a_database(uri, tmp_path, monkeypatch, failing):
    """The first is the copy of what is there, the second what takes its place."""
    calls = []

    def full(source, target):
        calls.append(target)
        if len(calls) < failing:
            return snapshot(source, target)
        raise TrackingError(f"a database {source} that cannot be copied (disk is full)", "room")

    monkeypatch.setattr(restoring, "snapshot", full)
    before = state(tmp_path)
    with pytest.raises(TrackingError, match=r"that cannot be copied \(disk is full\)"):
        restore(uri, tmp_path / "backup", force=True)
    assert len(calls) == failing
    assert state(tmp_path) == before


@pytest.mark.parametrize("moves", range(3))
@pytest.mark.parametrize("across_disks", [False, True])
def test_artifacts_that_cannot_be_moved(uri, tmp_path, monkeypatch, moves, across_disks):
    rename, done = Path.rename, []

    def renamed(source, target):
        if across_disks and source.parent.name == "mlruns" and not source.name.startswith("."):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        done.append(target)
        if len(done) == moves + 1:
            full_disk()
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", renamed)
    before = state(tmp_path)
    with pytest.raises(
        TrackingError, match=r"cannot be put in place \(.*No space left.*Everything is as it was"
    ):
        restore(uri, tmp_path / "backup", force=True)
    assert state(tmp_path) == before


def test_old_place_on_another_disk_that_cannot_be_cleared(uri, tmp_path, monkeypatch):
    remove = restoring.shutil.rmtree

    def refused(path, ignore_errors=False, **options):
        if ignore_errors or Path(path).parent != tmp_path / "mlruns":
            return remove(path, ignore_errors, **options)
        next(file for file in Path(path).rglob("*") if file.is_file()).unlink()
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    def other_disk(source, target, rename=Path.rename):
        if source.name.startswith(".") or not source.is_dir():
            return rename(source, target)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(restoring.shutil, "rmtree", refused)
    monkeypatch.setattr(Path, "rename", other_disk)
    before = state(tmp_path)
    with pytest.raises(TrackingError, match=r"cannot be put in place \(.*Permission denied"):
        restore(uri, tmp_path / "backup", force=True)
    assert state(tmp_path) == before


def test_what_cannot_be_moved_back_is_named(uri, tmp_path, monkeypatch):
    rename, done = Path.rename, []

    def renamed(source, target):
        done.append(target)
        return rename(source, target) if len(done) < 3 else full_disk()

    monkeypatch.setattr(Path, "rename", renamed)
    with pytest.raises(
        TrackingError, match=r"neither on nor back .* move what is in .*before-restore-.* by hand"
    ):
        restore(uri, tmp_path / "backup", force=True)
    (aside,) = tmp_path.glob("mlflow-before-restore-*")
    assert len(list((aside / "mlruns").iterdir())) == 2
