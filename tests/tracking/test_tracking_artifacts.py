"""Folders of artifacts that cannot be read: nothing is left out without a word."""

import errno
import os

import pytest

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.artifacts import folder_files, remove_folders
from lifemiles_forecasting.tracking.backup import backup
from lifemiles_forecasting.tracking.synthetic import synthetic_training


@pytest.fixture
def lock_up(monkeypatch):
    """A function that takes the right to list a folder away; root would have it all the same."""
    scandir, locked = os.scandir, {}

    def refused(path="."):
        if str(path) in locked:
            number = locked[str(path)]
            raise OSError(number, os.strerror(number), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    return lambda folder, number=errno.EACCES: locked.update({str(folder): number})


def test_backup_leaves_no_folder_out(client, tmp_path, lock_up):
    synthetic_training(client, "1", stores=1)
    model = next((tmp_path / "mlruns").rglob("store_model"))
    lock_up(model)
    message = rf"found a folder {model} that cannot be read \(Permission denied\)"
    with pytest.raises(TrackingError, match=message):
        backup(client.tracking_uri, tmp_path / "backup.tar.gz")
    assert not list(tmp_path.glob("*backup*"))


def test_folder_that_goes_meanwhile_has_no_files(tmp_path, lock_up):
    (tmp_path / "gone").mkdir()
    (tmp_path / "file").touch()
    lock_up(tmp_path / "gone", errno.ENOENT)
    assert list(folder_files(tmp_path)) == [tmp_path / "file"]
    assert list(folder_files(tmp_path / "nowhere")) == []


def test_folder_that_cannot_be_read_keeps_no_other_from_being_removed(tmp_path, lock_up):
    for name in ("locked", "other"):
        (tmp_path / name).mkdir()
    lock_up(tmp_path / "locked")
    with pytest.raises(TrackingError, match=r"1 artifact folders that could not be deleted \(.*lo"):
        remove_folders([tmp_path / "locked", tmp_path / "other"])
    assert not (tmp_path / "other").exists()
