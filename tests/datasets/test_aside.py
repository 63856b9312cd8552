"""Files that are written aside: whole or as they were before, whatever happens in between."""

import resource
import signal
import subprocess
import sys

import fsspec
import pandas as pd
import pytest
from fsspec.implementations.local import LocalFileSystem
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset, ParquetDataset
from kedro_datasets.text import TextDataset

from lifemiles_forecasting.datasets.aside import PART, clear_parts, write_aside

BEFORE, AFTER = pd.DataFrame({"x": [1]}), pd.DataFrame({"x": range(50_000)})


@pytest.fixture(autouse=True)
def aside():
    """What is registered is put back: other tests write as fsspec does."""
    write_aside()
    yield
    for protocol in ("file", "local"):
        fsspec.register_implementation(protocol, LocalFileSystem, clobber=True)


@pytest.mark.parametrize(
    ("kind", "name", "before", "after"),
    [
        (CSVDataset, "t.csv", BEFORE, AFTER),
        (ParquetDataset, "t.parquet", BEFORE, AFTER),
        (JSONDataset, "t.json", {"a": 1}, {"b": "ñ" * 100}),
        (TextDataset, "t.txt", "one", "two ñ\n"),
    ],
)
def test_datasets_of_kedro_write_what_they_did(tmp_path, kind, name, before, after):
    path = tmp_path / "new folder" / name
    dataset = kind(filepath=str(path))
    for value in (before, after):
        dataset.save(value)
        read = dataset.load()
        same = read[["x"]].equals(value) if isinstance(value, pd.DataFrame) else read == value
        assert same
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "t.json"
    dataset = JSONDataset(filepath=str(path))
    dataset.save({"a": 1})
    with pytest.raises(Exception, match="not JSON serializable"):
        dataset.save({"many": list(range(50_000)), "last": object()})
    assert dataset.load() == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_full_disk_leaves_what_was_there(tmp_path, mode):
    """A limit on the size of files fails in the same place as a disk without room."""
    path = tmp_path / "t"
    path.write_text("before")
    content = "x" * 200_000
    usual = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with (
            pytest.raises(OSError, match="File too large"),
            fsspec.filesystem("file").open(str(path), mode) as file,
        ):
            file.write(content if mode == "w" else content.encode())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, usual)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_leaves_what_was_there_and_the_rest_is_cleared(tmp_path):
    path = tmp_path / "t"
    path.write_text("before")
    program = (
        "import os, signal, fsspec\n"
        "from lifemiles_forecasting.datasets.aside import write_aside\n"
        "write_aside()\n"
        f"file = fsspec.filesystem('file').open({str(path)!r}, 'wb')\n"
        "file.write(b'x' * 100_000)\n"
        "file.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "before"
    (part,) = (file for file in tmp_path.iterdir() if file != path)
    assert part.name.endswith(PART)
    theirs = tmp_path / ".export_2024.csv.part"  # somebody else is bringing a file in
    theirs.touch()
    assert clear_parts(tmp_path) == [part]
    assert sorted(tmp_path.iterdir()) == [theirs, path]


def test_link_stays_a_link_and_permissions_stay(tmp_path):
    (tmp_path / "public").mkdir()
    file, link = tmp_path / "public" / "report.html", tmp_path / "report.html"
    file.write_text("before")
    file.chmod(0o600)
    link.symlink_to(file)
    with fsspec.filesystem("file").open(str(link), "w") as sink:
        sink.write("after")
    assert link.is_symlink()
    assert file.read_text() == "after"
    assert file.stat().st_mode & 0o777 == 0o600


def test_reading_appending_and_other_folders_are_as_ever(tmp_path):
    files = fsspec.filesystem("file")
    path = str(tmp_path / "t")
    for mode, text in (("w", "a"), ("a", "b")):
        with files.open(path, mode) as file:
            file.write(text)
    with files.open(path) as file:
        assert file.read() == b"ab"
    with pytest.raises(FileNotFoundError):
        files.open(str(tmp_path / "none" / "t"), "w")
    assert [file.name for file in tmp_path.iterdir()] == ["t"]
