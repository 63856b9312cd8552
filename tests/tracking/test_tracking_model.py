import json
import sys
from types import ModuleType

import mlflow
import pandas as pd
import pytest
import yaml

from lifemiles_forecasting.core.columns import FORECASTS
from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.model import model_template, read_files

FILES = {"state.json": b'{"level": 7}', "local.cbm": b"\x00\x01trees"}
RUN_ID = "5e" * 16


class StubModel:
    """Stands for `core.store_model.StoreModel`: this room only carries its files."""

    def __init__(self, files):
        self.files = files

    @classmethod
    def from_files(cls, files):
        return cls(dict(files))

    def predict(self, frame):
        level = json.loads(self.files["state.json"])["level"]
        return pd.DataFrame({"rows": [len(frame)], "columns": [list(frame)], "level": [level]})


@pytest.fixture
def stub(monkeypatch):
    module = ModuleType("lifemiles_forecasting.core.store_model")
    module.StoreModel = StubModel
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.fixture
def folder(tmp_path):
    model_template().save(tmp_path / "model", FILES, RUN_ID)
    return tmp_path / "model"


def test_saved_model_loads_as_pyfunc(folder, stub):
    model = mlflow.pyfunc.load_model(str(folder))
    answer = model.predict(pd.DataFrame({"horizon": [1, 2]}))
    assert answer.to_dict("records") == [{"rows": 2, "columns": ["horizon"], "level": 7}]
    assert model.metadata.run_id == RUN_ID
    assert model.metadata.signature.outputs.input_names() == list(FORECASTS)


@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        (pd.DataFrame(), []),
        (pd.DataFrame({"date": ["2018-01-03"]}), ["date"]),
        (pd.DataFrame({"date": pd.to_datetime(["2018-01-03"])}), ["date"]),
        (pd.DataFrame({"horizon": [3], "date": ["2018-01-03"]}), ["horizon", "date"]),
    ],
)
def test_loaded_model_takes_horizons_dates_both_or_nothing(folder, stub, asked, columns):
    answer = mlflow.pyfunc.load_model(str(folder)).predict(asked)
    assert answer["columns"].tolist() == [columns]


def test_mlmodel_is_stamped_for_the_store(folder, tmp_path):
    again = model_template().save(tmp_path / "other", FILES, "ab" * 16)
    first = yaml.safe_load((folder / "MLmodel").read_text())
    other = yaml.safe_load((tmp_path / "other" / "MLmodel").read_text())
    assert first["run_id"] == RUN_ID
    assert other["run_id"] == "ab" * 16
    assert other["model_uuid"] == again != first["model_uuid"]
    assert isinstance(first["utc_time_created"], str)
    assert first["model_size_bytes"] == sum(map(len, FILES.values()))
    assert "OF_STORE" not in (folder / "MLmodel").read_text()


def test_nothing_is_pickled_and_requirements_are_pinned(folder):
    names = {file.name for file in folder.rglob("*") if file.is_file()}
    assert names == {
        *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"),
        *("manifest.json", "state.json", "local.cbm"),
    }
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in lines)
    assert "lifemiles-forecasting==0.1.0" in lines


def damage_byte(data):
    (data / "local.cbm").write_bytes(b"\x00\x01leaves")


def remove(data):
    (data / "local.cbm").unlink()


def add(data):
    (data / "code.py").write_text("evil")


@pytest.mark.parametrize(
    ("damage", "name"), [(damage_byte, "local.cbm"), (remove, "local.cbm"), (add, "code.py")]
)
def test_loading_is_refused_when_a_file_differs_from_the_manifest(folder, stub, damage, name):
    damage(folder / "data" / "store_model")
    with pytest.raises(TrackingError, match=f"changed, missing or added model files {name} in "):
        mlflow.pyfunc.load_model(str(folder))


@pytest.mark.parametrize("content", [None, "not json", "[]", "{}"])
def test_loading_is_refused_without_a_readable_manifest(folder, content):
    manifest = folder / "data" / "store_model" / "manifest.json"
    manifest.unlink() if content is None else manifest.write_text(content)
    with pytest.raises(TrackingError, match=r"no readable manifest\.json in "):
        read_files(manifest.parent)


@pytest.mark.parametrize("name", ["../out.json", "a/b.json", "", "..", "manifest.json"])
def test_save_refuses_a_name_that_leaves_the_folder(tmp_path, name):
    with pytest.raises(TrackingError, match="expected a plain file name"):
        model_template().save(tmp_path / "model", {name: b""}, RUN_ID)
    assert not (tmp_path / "out.json").exists()
