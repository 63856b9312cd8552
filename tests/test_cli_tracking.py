"""`kedro tracking`: the commands, their words and their errors."""

import importlib.metadata
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.cli import cli
from lifemiles_forecasting.tracking.spool import FOLDER
from lifemiles_forecasting.tracking.store import tune_sqlite
from lifemiles_forecasting.tracking.synthetic import synthetic_training

ROOT = Path(__file__).parents[1]
DAY = 86_400_000


def uri_of(folder):
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory, copy_project):
    """A backup of two old trainings, made by the real command in a project of its own."""
    folder = tmp_path_factory.mktemp("project")
    project = copy_project(folder)
    tune_sqlite()
    before = mlflow.get_tracking_uri()
    client = MlflowClient(tracking_uri=uri_of(folder))
    client.create_experiment("Training", artifact_location=(folder / "mlruns").as_uri())
    for day in (1, 2):
        synthetic_training(client, "1", started=day * DAY)
    mlflow.set_tracking_uri(before)
    file = folder.parent / "nightly.tar.gz"
    result = project.kedro("tracking", "backup", str(file))
    assert result.returncode == 0, result.stderr
    return file, result, folder


@pytest.fixture
def kedro(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    configure_project("lifemiles_forecasting")

    def invoke(*arguments, uri=None):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri or uri_of(tmp_path))
        return CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False)

    return invoke


def test_restored_in_another_folder_explore_answers_the_same_bytes(backed_up, kedro, tmp_path):
    file, result, source = backed_up
    assert result.stdout.startswith("Backed up 37 files, ")
    question = ("explore", "--best-models", "--format", "json")
    expected = kedro(*question, uri=uri_of(source)).stdout_bytes
    moved = tmp_path / "moved"
    restored = kedro("tracking", "restore", file, uri=uri_of(moved))
    assert restored.exit_code == 0, restored.stderr
    assert restored.stdout.startswith("Restored 37 files of the backup of 2")
    assert kedro(*question, uri=uri_of(moved)).stdout_bytes == expected
    assert b"runs:/" in expected


def test_restore_says_where_the_old_store_is(backed_up, kedro, tmp_path):
    file, *_ = backed_up
    kedro("tracking", "restore", file)
    again = kedro("tracking", "restore", file)
    assert again.exit_code == 1
    assert again.stderr.startswith(f"Error: found a store with 6 runs at {tmp_path / 'mlflow.db'};")
    forced = kedro("tracking", "restore", file, "--force")
    assert forced.stdout.startswith(f"What was here before is in {tmp_path}/mlflow-before-restore-")


def test_prune_prints_the_same_table_dry_and_for_good(backed_up, kedro):
    kedro("tracking", "restore", backed_up[0])
    dry = kedro("tracking", "prune", "--keep", 1, "--dry-run")
    done = kedro("tracking", "prune", "--keep", 1)
    assert (dry.exit_code, done.exit_code) == (0, 0)
    assert dry.stdout.startswith("Would go\nexperiment_id  experiment  trainings_kept")
    said = dry.stdout.replace("Would go", "Gone").replace("Would free", "Freed")
    assert done.stdout == said
    assert "bytes of artifacts and" in said.splitlines()[-1]
    assert kedro("tracking", "size").stdout.count(" active ") == 2


@pytest.mark.parametrize(("age", "left"), [("90d", 1), ("500000h", 2), ("999999d", 2)])
def test_prune_by_age(backed_up, kedro, age, left):
    kedro("tracking", "restore", backed_up[0])
    assert kedro("tracking", "prune", "--keep", 1, "--older-than", age).exit_code == 0
    assert f"pipeline  active  {left:>4} " in kedro("tracking", "size").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep", "1", "--older-than", "soon"], "'soon': days or hours were expected, such as"),
        (["--keep", "0"], "0 is not in the range x>=1"),
        ([], "Missing option '--keep'"),
    ],
)
def test_options_that_cannot_be_used(kedro, arguments, message):
    result = kedro("tracking", "prune", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    "command",
    [("backup", "x"), ("restore", "x"), ("prune", "--keep", "1"), ("size",)],
)
def test_server_is_refused_in_one_sentence(kedro, command, tmp_path):
    result = kedro("tracking", *command, uri="http://me:secret@127.0.0.1:1")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: found a tracking store at http://127.0.0.1:1; expected")
    assert "secret" not in result.stderr


def test_prune_is_refused_where_models_are_registered_elsewhere(backed_up, kedro, monkeypatch):
    """It could not see which runs are behind an alias."""
    kedro("tracking", "restore", backed_up[0])
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "postgresql://someone:secret@127.0.0.1/models")
    result = kedro("tracking", "prune", "--keep", "1")
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "Error: found a model registry of its own, postgresql://127.0.0.1/models; expected "
        "registered models beside their runs"
    )
    monkeypatch.delenv("MLFLOW_REGISTRY_URI")
    assert "trainings_kept" in kedro("tracking", "prune", "--keep", "1", "--dry-run").stdout


def test_backup_says_that_a_registry_of_its_own_is_not_in_it(
    backed_up, kedro, monkeypatch, tmp_path
):
    kedro("tracking", "restore", backed_up[0])
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "postgresql://someone:secret@127.0.0.1/models")
    result = kedro("tracking", "backup", tmp_path / "copy")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == (
        "The registered models are not in it, but in postgresql://127.0.0.1/models: back that up, "
        "too"
    )


def test_replay_looks_where_the_environment_keeps_its_outputs(kedro, monkeypatch, tmp_path):
    monkeypatch.setenv("LIFEMILES_DATA_ROOT", str(tmp_path / "elsewhere"))
    result = kedro("tracking", "replay", "--env=cluster")
    assert result.stdout == f"Nothing to replay in {tmp_path / 'elsewhere'}\n"
    assert kedro("tracking", "replay").stdout == f"Nothing to replay in {ROOT / 'data'}\n"


def test_spool_that_cannot_be_replayed_is_one_clear_error(kedro, tmp_path):
    spool = tmp_path / FOLDER / "mlflow.db"
    spool.parent.mkdir(parents=True)
    spool.write_text("no database " * 1_000)
    result = kedro("tracking", "replay", "--data-root", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: found runs in {spool.parent} that cannot be written")
    assert result.stderr.count("\n") == 1


def test_unknown_environment_is_one_clear_error(kedro):
    result = kedro("tracking", "size", "--env", "nowhere")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: found no environment 'nowhere' in ")


def test_backup_of_another_mlflow_says_what_may_be_needed(backed_up, kedro, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "3.99")
    result = kedro("tracking", "restore", backed_up[0])
    assert result.exit_code == 0
    assert f"run `mlflow db upgrade {uri_of(tmp_path)}`" in result.stderr
