import gc

import pytest
from mlflow.exceptions import MlflowException

from lifemiles_forecasting.tracking import pages


@pytest.fixture
def seven(client):
    for number in range(7):
        client.create_run("1", run_name=f"run {number}", start_time=number + 1)
    return client


def test_read_all_joins_pages_of_any_size(seven, monkeypatch):
    for page in (1, 3, 7, 100):
        monkeypatch.setattr(pages, "PAGE", page)
        names = pages.read_all(seven, ["1"], "", keep=lambda run: run.info.run_name)
        assert names == [f"run {number}" for number in reversed(range(7))]


def test_the_collector_is_left_as_it_was(seven):
    during = pages.read_all(seven, ["1"], "", keep=lambda _: gc.isenabled())
    assert during == [False] * 7
    assert gc.isenabled()
    with pytest.raises(MlflowException):
        pages.read_all(seven, ["1"], "no filter", keep=str)
    assert gc.isenabled()
    gc.disable()
    try:
        pages.read_all(seven, ["1"], "", keep=str)
        assert not gc.isenabled()
    finally:
        gc.enable()
