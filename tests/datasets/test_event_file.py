"""The optional file of planned events: absent, plain, packed, broken."""

import gzip

import pytest
from kedro.io import DatasetError

from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.datasets.events import EventFileDataset

TEXT = "start_date,end_date,name\n2024-05-01,2024-05-03,Cámara doble\n"


def test_without_a_file_there_is_no_text():
    dataset = EventFileDataset()
    file = dataset.load()
    assert (file.read(), file.name) == (None, "")
    assert dataset.exists()


@pytest.mark.parametrize("content", [TEXT.encode(), TEXT.encode("utf-8-sig")])
def test_plain_and_packed_files_are_read(tmp_path, content):
    for path in (tmp_path / "events.csv", tmp_path / "events.csv.gz"):
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        dataset = EventFileDataset(filepath=str(path))
        file = dataset.load()
        assert (file.read(), file.name) == (TEXT, path.name)
        assert dataset.exists()


def test_InputError_when_the_file_is_missing(tmp_path):
    dataset = EventFileDataset(filepath=str(tmp_path / "x.csv"))
    assert not dataset.exists()
    message = r"no file .*/x\.csv; expected the CSV .* Name another with --params=events=FILE\."
    with pytest.raises(InputError, match=message):
        dataset.load().read()


def test_InputError_when_the_file_is_broken(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(TEXT.encode())[:-9])
    with pytest.raises(InputError, match=r"a broken gzip file x\.csv\.gz"):
        EventFileDataset(filepath=str(path)).load().read()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_InputError_when_the_file_is_in_another_encoding(tmp_path, end):
    path = tmp_path / "x.csv"
    path.write_bytes(TEXT.replace("\n", end).encode("latin-1"))
    message = r"found bytes that are not UTF-8 in line 2 of x\.csv; expected text in UTF-8"
    with pytest.raises(InputError, match=message):
        EventFileDataset(filepath=str(path)).load().read()


def test_save_dataset_error_when_called(tmp_path):
    with pytest.raises(DatasetError, match="is read only"):
        EventFileDataset(filepath=str(tmp_path / "x.csv")).save("x")
    assert "x.csv" in str(EventFileDataset(filepath=str(tmp_path / "x.csv")))
