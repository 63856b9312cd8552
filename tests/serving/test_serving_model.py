"""The registered model in a notebook, with a byte of it changed, and `kedro serve` around it."""

import json
import os
import socket
import sys
import tempfile
from datetime import date
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.project import configure_project
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.cli import cli
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.core.fleet import FleetModel
from lifemiles_forecasting.tracking.fleet import log_fleet
from lifemiles_forecasting.tracking.model import read_files
from lifemiles_forecasting.tracking.names import REGISTERED_MODEL
from lifemiles_forecasting.tracking.registry import Registry

ROOT = Path(__file__).parents[2]
CHAMPION_URI = f"models:/{REGISTERED_MODEL}@champion"
STORE, OTHER = "P0_0000", "P0_0001"


@pytest.fixture
def here(registered):
    """MLflow in this process looks at the registered models, as a notebook would."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(registered.uri)
    yield registered
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(None)  # goes by the tracking store again


@pytest.mark.parametrize(
    ("day", "horizon"),
    [
        ({}, None),
        ({c.HORIZON: [3, 3]}, 3),
        ({c.HORIZON: [3.0, 3.0]}, 3),
        ({c.HORIZON: pd.array([3, 3], "Int64")}, 3),
        ({c.HORIZON: pd.array([3, 3], "int8")}, 3),
        ({c.DATE: ["2024-01-03", "2024-01-03"]}, 3),
        ({c.DATE: [date(2024, 1, 3), pd.Timestamp("2024-01-03 22:00", tz="America/Bogota")]}, 3),
        ({c.DATE: pd.to_datetime(["2024-01-03", "2024-01-03"])}, 3),
        ({c.HORIZON: [3, None], c.DATE: [pd.NaT, pd.Timestamp("2024-01-03")]}, 3),
    ],
)
def test_notebook_predicts_with_days_of_any_type(here, day, horizon):
    asked = pd.DataFrame({c.STORE_ID: [OTHER, STORE], **day})
    kept = asked.copy()
    answers = mlflow.pyfunc.load_model(CHAMPION_URI).predict(asked)
    here.assert_rows(answers, (OTHER, horizon), (STORE, horizon))
    pd.testing.assert_frame_equal(asked, kept)


def test_notebook_is_told_what_cannot_be_read(here):
    asked = pd.DataFrame({c.STORE_ID: [STORE], c.HORIZON: [1.5]})
    with pytest.raises(MlflowException, match=r"found horizon 1\.5; expected whole days ahead"):
        mlflow.pyfunc.load_model(CHAMPION_URI).predict(asked)


def test_batch_prediction_of_mlflow(here, tmp_path):
    asked = pd.DataFrame(
        {c.STORE_ID: [STORE, OTHER], c.DATE: pd.to_datetime(["2024-01-02", "2024-01-01"])}
    )
    output = tmp_path / "answers.json"
    mlflow.models.predict(CHAMPION_URI, asked, output_path=str(output), env_manager="local")
    answers = json.loads(output.read_text())["predictions"]
    here.assert_rows(answers, (STORE, 2), (OTHER, 1))


def test_model_is_plain_files_and_fixed_versions(registered):
    folder = registered.model_folder(1)
    suffixes = {file.suffix for file in folder.rglob("*") if file.is_file()}
    assert suffixes == {"", ".cbm", ".json", ".npz", ".parquet", ".txt", ".yaml"}
    described = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["python_function"]
    assert described["loader_module"] == "lifemiles_forecasting.tracking.fleet"
    assert not {"python_model", "cloudpickle_version", "artifacts"} & set(described)
    required = (folder / "requirements.txt").read_text().split()
    assert {"catboost", "lifemiles-forecasting", "mlflow"} < {
        line.partition("==")[0] for line in required
    }
    assert all(line.count("==") == 1 and line.partition("==")[2] for line in required)


CHANGED = r"found changed, missing or added model files direct\.cbm in .*; expected the files whose"


def test_one_changed_byte_is_refused_by_who_loads_the_model(here):
    """MLflow's server loads it in this way, before it listens."""
    with pytest.raises(TrackingError, match=CHANGED):
        mlflow.pyfunc.load_model(f"models:/{REGISTERED_MODEL}/2")


class AnotherProgramError(Exception):
    """In place of becoming another program, which would be the end of the tests."""


@pytest.fixture
def kedro_serve(here, monkeypatch, tmp_path):
    def become(*command):
        raise AnotherProgramError(*command)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(os, "execve", become)
    configure_project("lifemiles_forecasting")

    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "true")  # put back at the end

    def invoke(*arguments, uri=here.uri, registry_uri=None):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", registry_uri or uri)
        return CliRunner().invoke(cli, ["serve", *arguments])

    return invoke


@pytest.mark.parametrize("which", [["--alias", "challenger"], ["--version", "2"]])
def test_one_changed_byte_keeps_the_server_from_starting(kedro_serve, which, free_port):
    result = kedro_serve("--port", str(free_port), *which)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: found changed, missing or added model files direct.cbm")
    assert result.stderr.count("\n") == 1


def test_server_is_of_the_version_and_on_this_machine_alone(kedro_serve, here, free_port):
    port = str(free_port)
    result = kedro_serve("--version", "1", "--port", port)
    program, command, environment = result.exception.args
    assert program == command[0] == sys.executable
    assert command[command.index("--model-uri") + 1] == f"models:/{REGISTERED_MODEL}/1"
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--port") + 1] == port
    assert here.uri not in command
    assert environment["MLFLOW_TRACKING_URI"] == environment["MLFLOW_REGISTRY_URI"] == here.uri
    assert f"Version 1 of {REGISTERED_MODEL}, trained until 2023-12-31, will" in result.stderr


def test_a_server_removes_what_the_one_before_it_on_its_port_has_copied(
    kedro_serve, free_port, tmp_path
):
    """MLflow leaves a copy of the model in the temporary folder each time that it is started."""
    folders = []
    for _ in range(2):
        result = kedro_serve("--version", "1", "--port", str(free_port))
        folders.append(Path(result.exception.args[2]["TMPDIR"]))
        assert folders[-1].parent == tmp_path
        assert folders[-1].stat().st_mode & 0o777 == 0o700
        assert list(folders[-1].iterdir()) == []
        (folders[-1] / "tmp_model").mkdir()
    assert folders[0] == folders[1]


def test_a_folder_of_that_name_that_leads_elsewhere_is_left_alone(kedro_serve, free_port, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "somebody's").touch()
    (tmp_path / f"kedro-serve-{os.getuid()}-127.0.0.1-{free_port}").symlink_to(elsewhere)
    result = kedro_serve("--version", "1", "--port", str(free_port))
    assert result.exception.args[2].get("TMPDIR") == os.environ.get("TMPDIR")
    assert [path.name for path in elsewhere.iterdir()] == ["somebody's"]


def test_registry_may_be_another_store_than_that_of_the_runs(
    kedro_serve, here, tmp_path, free_port
):
    registry_uri = f"sqlite:///{tmp_path / 'registry.db'}"
    other = Registry(MlflowClient(tracking_uri=here.uri, registry_uri=registry_uri))
    logged = Registry(MlflowClient(tracking_uri=here.uri, registry_uri=here.uri)).version(1)
    other.promote(other.add(logged.source, logged.run_id, {"training_mode": "full"}).version)
    result = kedro_serve("--port", str(free_port), registry_uri=registry_uri)
    environment = result.exception.args[2]
    assert environment["MLFLOW_TRACKING_URI"] == here.uri
    assert environment["MLFLOW_REGISTRY_URI"] == registry_uri


def test_model_comes_over_http_from_a_tracking_server(kedro_serve, here, mlflow_server, free_port):
    """Its files too; the champion there is a copy of the one here, logged through the server."""
    mlflow.set_tracking_uri(mlflow_server.uri)
    experiment = mlflow.create_experiment("Serving")
    fleet = read_files(here.model_folder(1) / "data" / "fleet")
    with mlflow.start_run(experiment_id=experiment) as run:
        logged = log_fleet(FleetModel.from_files(fleet))
    registry = Registry(MlflowClient(mlflow_server.uri, mlflow_server.uri))
    registry.promote(
        registry.add(logged.model_uri, run.info.run_id, {"training_mode": "full"}).version
    )
    result = kedro_serve("--port", str(free_port), uri=mlflow_server.uri)
    assert isinstance(result.exception, AnotherProgramError), result.output
    asked = pd.DataFrame({c.STORE_ID: [STORE]})
    here.assert_rows(mlflow.pyfunc.load_model(CHAMPION_URI).predict(asked), (STORE,))


@pytest.mark.parametrize(
    ("which", "message"),
    [
        (["--alias", "best"], f"found no best among the versions of {REGISTERED_MODEL}; expected"),
        (["--alias", "x'; --"], "found no x'; -- among the versions of"),
        (["--version", "7"], f"found no version 7 of {REGISTERED_MODEL}; expected one of 2, 1."),
    ],
)
def test_a_version_that_is_not_there_is_one_clear_error(kedro_serve, which, message, free_port):
    result = kedro_serve("--port", str(free_port), *which)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_a_champion_it_says_what_to_do(kedro_serve, tmp_path, free_port):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    nothing = kedro_serve("--port", str(free_port), uri=uri)
    assert nothing.exit_code == 1
    assert nothing.stderr == (
        "Error: found no tracked run; expected one with a registered model. Run `kedro run` first\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_said_before_the_model_is_loaded(kedro_serve):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = kedro_serve("--port", str(port))
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: found no way to listen on port {port} of 127.0.0.1 (address already in use); "
        "expected a free port. Choose another with --port, or PORT= of make\n"
    )
