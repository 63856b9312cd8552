"""The hooks and `kedro run`, in a small project of its own with this project's configuration."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import mlflow
import pytest
import warm_start
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from mlflow.tracking import MlflowClient
from services import free_port
from small_disk import small_disk

from lifemiles_forecasting.config_loader import CheckedConfigLoader
from lifemiles_forecasting.core import cluster_connection
from lifemiles_forecasting.core.errors import (
    ClusterError,
    ConfigError,
    LostStoreError,
    TrackingError,
)
from lifemiles_forecasting.datasets.transaction_table import TransactionTableDataset
from lifemiles_forecasting.hooks import (
    ForecastingHooks,
    check_cluster,
    check_environment,
    data_source,
)
from lifemiles_forecasting.pipelines import forecasting, modeling
from lifemiles_forecasting.settings import CONFIG_LOADER_ARGS
from lifemiles_forecasting.tracking_config import probe_servers, tracking_config

ROOT = Path(__file__).parents[1]
PIPELINES = """
import os
import threading

from kedro.pipeline import Pipeline, node
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.tracking.synthetic import synthetic_record, synthetic_store_run


def train(target, modeling):
    return [synthetic_store_run(0), synthetic_store_run(1, failed=True)]


def summarise(store_runs):
    return synthetic_record()


def wait():
    os.write(1, b"ready\\n")
    threading.Event().wait(60)


def idle():
    return 1


def refuse():
    raise InputError("an empty folder", "CSV files", "Put some there")


def stumble():
    return 1 / 0


def register_pipelines():
    training = Pipeline([
        node(train, ["params:target", "params:modeling"], "store_runs"),
        node(summarise, "store_runs", "run_record"),
    ])
    one = lambda function: Pipeline([node(function, None, "nothing")])
    return {
        "__default__": training,
        "data_processing": one(idle),
        "modeling": one(wait) + training,
        "reporting": one({"refuse": refuse, "stumble": stumble}[os.environ.get("CASE", "refuse")]),
    }
"""
CATALOG = """
raw_transactions:
  type: lifemiles_forecasting.datasets.transactions.TransactionFilesDataset
  filepath: data/01_raw/transactions
store_runs:
  type: lifemiles_forecasting.datasets.store_runs.StoreRunsDataset
run_record:
  type: lifemiles_forecasting.datasets.run_record.RunRecordDataset
"""


@pytest.fixture
def project(tmp_path):
    """A project with tiny pipelines and the real configuration, settings and commands."""
    package = tmp_path / "src" / "tiny"
    package.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "tiny"\nproject_name = "tiny"\n'
        'kedro_init_version = "1.7.0"\nsource_dir = "src"\n'
    )
    (package / "__init__.py").touch()
    (package / "settings.py").write_text("from lifemiles_forecasting.settings import *\n")
    (package / "cli.py").write_text("from lifemiles_forecasting.cli import cli, run\n")
    (package / "pipeline_registry.py").write_text(dedent(PIPELINES))
    base = tmp_path / "conf" / "base"
    base.mkdir(parents=True)
    (tmp_path / "conf" / "local").mkdir()
    for file in (ROOT / "conf" / "base").glob("*.yml"):
        if not file.name.startswith("catalog"):
            shutil.copy(file, base)
    shutil.copy(ROOT / "conf" / "logging.yml", tmp_path / "conf")
    (base / "catalog.yml").write_text(CATALOG)
    return tmp_path


def environment(**extra):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "KEDRO_"))}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
    return {**inherited, **quiet, **extra}


def command(*arguments):
    return [sys.executable, "-m", "kedro", "run", *arguments]


def run(project, *arguments, by=None, **extra):
    """A run to its end, by the waiting process of the tests or by another one."""
    return warm_start.kedro(["run", *arguments], project, environment(**extra), 120, by)


@pytest.fixture
def tables(project, empty_store):
    """The project with a tracking store that has its tables."""
    shutil.copy(empty_store, project / "mlflow.db")


def client_of(project):
    return MlflowClient(tracking_uri=f"sqlite:///{project / 'mlflow.db'}")


def runs_of(project, condition=""):
    client = client_of(project)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids, condition)


def errors(result):
    return [line for line in result.stderr.splitlines() if line.startswith("Error: ")]


@pytest.mark.usefixtures("tables")
def test_run_tracks_the_whole_contract_of_a_parent_run(project):
    elsewhere = project / "conf"  # the tracking store must not depend on the current folder
    logs = {"KEDRO_LOGGING_CONFIG": str(project / "conf" / "logging.yml")}
    result = run(elsewhere, "--params=max_stores=2.0,modeling.n_windows=2", **logs)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert "kedro explore --experiment-id 1" in result.stderr
    (parent,) = runs_of(project, "tags.run_level = 'pipeline'")
    assert parent.info.run_name.startswith("Training_Pipeline_2")
    assert parent.info.status == "FINISHED"
    assert parent.info.artifact_uri.startswith((project / "mlruns").as_uri())
    params, tags, metrics = parent.data.params, parent.data.tags, parent.data.metrics
    assert params["max_stores"] == "2"
    assert params["min_samples"] == "56"
    assert params["as_of"] == "None"
    assert params["modeling.n_windows"] == "2"
    assert "modeling.combine.power" in params
    assert params["dataset_shape"] == "(289963, 19)"
    assert not [name for name in params if name.startswith("params:") or name == "modeling"]
    assert tags["training_mode"] == "limited"
    assert tags["environment"] == tags["kedro_env"] == "local"
    assert tags["git_commit"] == tags["git_dirty"] == "unknown"
    (given,) = parent.inputs.dataset_inputs
    folder = (project / "data" / "01_raw" / "transactions").as_uri()
    assert json.loads(given.dataset.source)["uri"] == tags["data_source"] == folder
    assert metrics["avg_r2"] == 0.61
    assert 0 < metrics["tracking_seconds"] < 5
    assert {
        (run.info.run_name, run.info.status) for run in runs_of(project, "tags.run_level = 'store'")
    } == {("Store CJGRO_0000", "FINISHED"), ("Store CJGRO_0001", "FAILED")}


@pytest.mark.usefixtures("tables")
def test_run_tracks_parameters_whose_names_mlflow_does_not_take(project):
    countries = {"EE.UU./": "US", "Perú//": "PE", "x" * 300: "MX", "Chile (CL)": "CL"}
    local = {"modeling": {"holidays": {"countries": countries}}}
    (project / "conf" / "local" / "parameters.yml").write_text(json.dumps(local))
    result = run(project)
    assert result.returncode == 0, result.stderr
    (parent,) = runs_of(project, "tags.run_level = 'pipeline'")
    tracked = {
        name.removeprefix("modeling.holidays.countries."): value
        for name, value in parent.data.params.items()
        if name.startswith("modeling.holidays.countries.")
    }
    assert sorted(tracked.values()) == ["CL", "MX", "PE", "US"]
    assert {tracked[name] for name in ("EE.UU._", "Perú__", "Chile _CL_")} == {"US", "PE", "CL"}
    assert result.stderr.count("countries.EE.UU._' in MLflow, which takes no such name") == 1


def test_run_refuses_what_it_does_not_know_before_there_is_a_store(project):
    result = run(project, "--params=max_store=5")
    assert result.returncode == 1
    (line,) = errors(result)
    assert line.startswith("Error: found an unknown parameter 'max_store'; ")
    assert "Traceback" not in result.stderr
    assert not (project / "mlflow.db").exists()


def test_run_says_at_once_that_the_tracking_server_is_not_there(project):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}"
        started = time.monotonic()
        result = run(project, MLFLOW_TRACKING_URI=uri, no_proxy="127.0.0.1")
    assert result.returncode == 1
    assert time.monotonic() - started < 30
    (line,) = errors(result)
    assert "no usable MLflow tracking store at http://127.0.0.1:" in line
    assert "MLFLOW_TRACKING_URI" in line
    assert "secret" not in result.stderr + result.stdout
    assert "Traceback" not in result.stderr


def test_tracking_database_on_a_full_or_read_only_disk(project, tmp_path):
    """Full while the tables are made, full when runs are there, then read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with (
        small_disk(folder, megabytes=16) as disk,
        warm_start.start(disk.command(cwd=warm_start.FOLDER)) as there,
    ):
        variables = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        for free in (100_000, 200_000):
            filling = disk.leave(free)
            result = run(project, by=there, **variables)
            assert result.returncode == 1
            assert "Traceback" not in result.stderr, result.stderr
            (line,) = errors(result)
            assert line.startswith("Error: found a full disk while writing; free are: ")
            assert f"{folder}: " in line
            filling.unlink()
            whole = run(project, by=there, **variables)
            assert whole.returncode == 0, whole.stderr
        disk.read_only()
        (line,) = errors(run(project, by=there, **variables))
        assert "no usable MLflow tracking store" in line
        assert "(it cannot be written to)" in line
        shutil.copytree(disk.seen, tmp_path / "copy")
    runs = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/copy/mlflow.db").search_runs(["1"])
    parents = [one.info.status for one in runs if "mlflow.parentRunId" not in one.data.tags]
    assert parents in (["FINISHED", end, "FINISHED"] for end in ("FAILED", "KILLED"))
    assert "RUNNING" not in {one.info.status for one in runs}


@pytest.mark.usefixtures("tables")
def test_run_ends_with_one_message_when_a_node_refuses_its_input(project):
    result = run(project, "--pipelines=reporting")
    assert result.returncode == 1
    assert errors(result) == ["Error: found an empty folder; expected CSV files. Put some there"]
    assert "Traceback" not in result.stderr
    (only,) = runs_of(project)
    assert only.info.status == "FAILED"
    assert only.data.tags["run_level"] == "partial"
    assert only.info.run_name.startswith("reporting_2")


@pytest.mark.usefixtures("tables")
def test_run_of_data_processing_alone_is_not_tracked(project):
    result = run(project, "--pipelines=data_processing")
    assert result.returncode == 0, result.stderr
    assert runs_of(project) == []


def test_packaged_project_runs_with_the_same_clear_errors(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    result = subprocess.run(
        [sys.executable, "-m", "lifemiles_forecasting", "--params=horizont=7"],
        cwd=ROOT,
        env=environment(MLFLOW_TRACKING_URI=uri),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1
    (line,) = errors(result)
    assert line.endswith("Did you mean 'horizon'?")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("tables")
def test_run_keeps_the_traceback_of_an_error_of_ours(project):
    result = run(project, "--pipelines=reporting", CASE="stumble")
    assert result.returncode == 1
    assert "ZeroDivisionError: division by zero" in result.stderr
    assert "Traceback" in result.stderr


@pytest.mark.usefixtures("heeded_signals", "tables")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_that_is_interrupted_is_killed(project, number):
    with subprocess.Popen(
        command("--pipelines=modeling"),
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(timeout=60) != 0
    (parent,) = runs_of(project, "tags.run_level = 'pipeline'")
    assert parent.info.status == "KILLED"
    assert parent.info.end_time is not None


def test_a_store_that_goes_away_after_the_last_node_is_lost_like_in_mid_run(tmp_path, monkeypatch):
    """The run can be gone on with: all that is left is to say what came out."""
    before = mlflow.get_tracking_uri()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        mlflow.set_tracking_uri(f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        hooks = ForecastingHooks()
        hooks._trained, hooks._project_path = "0" * 32, tmp_path
        hooks._config, hooks._mode = {"data_root": "data"}, "full"
        with pytest.raises(LostStoreError, match="which was there when the run began") as lost:
            hooks.after_pipeline_run()
    mlflow.set_tracking_uri(before)
    assert lost.value.outputs == tmp_path / "data"


def loader_of(project, env=None):
    return OmegaConfigLoader(conf_source=str(project / "conf"), env=env, **CONFIG_LOADER_ARGS)


def test_check_environment_refuses_one_without_a_folder(project):
    (project / "conf" / "production").mkdir()
    expected = (
        f"found no environment 'prodution' in {project / 'conf'}; "
        "expected base, local, production. Did you mean 'production'?"
    )
    with pytest.raises(ConfigError) as caught:
        check_environment(loader_of(project, "prodution"))
    assert str(caught.value) == expected
    check_environment(loader_of(project, "production"))
    check_environment(loader_of(project))


def test_check_environment_refuses_a_folder_without_configuration(tmp_path):
    expected = (
        f"found no folder base in {tmp_path}; expected the configuration of the project. "
        "--conf-source names the folder that it is in"
    )
    loader = CheckedConfigLoader(str(tmp_path), **CONFIG_LOADER_ARGS)
    with pytest.raises(ConfigError) as caught:
        check_environment(loader)
    assert str(caught.value) == expected


def test_tracking_config_is_anchored_at_the_project(project, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    config = tracking_config(loader_of(project), project)
    assert config["server"]["mlflow_tracking_uri"] == f"sqlite:///{project}/mlflow.db"
    experiment = config["tracking"]["experiment"]
    assert experiment["name"] == "LifeMiles_Forecasting_Training"
    creation = experiment["create_experiment_kwargs"]
    assert creation["artifact_location"] == (project / "mlruns").as_uri()


def test_tracking_config_follows_the_environment_variable(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    config = tracking_config(loader_of(project), project)
    assert config["server"]["mlflow_tracking_uri"] == "https://mlflow.example"
    creation = config["tracking"]["experiment"]["create_experiment_kwargs"]
    assert creation["artifact_location"] is None


def test_tracking_config_anchors_the_model_registry_too(project, monkeypatch):
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    assert tracking_config(loader_of(project), project)["server"]["mlflow_registry_uri"] is None
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "")
    assert tracking_config(loader_of(project), project)["server"]["mlflow_registry_uri"] is None
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "sqlite:///registry.db")
    server = tracking_config(loader_of(project), project)["server"]
    assert server["mlflow_registry_uri"] == f"sqlite:///{project}/registry.db"


def test_model_registry_that_is_not_there_is_refused_like_a_tracking_store(tmp_path):
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    probe_servers({"mlflow_tracking_uri": store, "mlflow_registry_uri": None})
    probe_servers({"mlflow_tracking_uri": store, "mlflow_registry_uri": store})
    with pytest.raises(TrackingError, match=r"no usable MLflow model registry at sqlite:.* folder"):
        probe_servers(
            {"mlflow_tracking_uri": store, "mlflow_registry_uri": f"sqlite:///{tmp_path}"}
        )


def test_scheduler_is_reached_for_before_a_run_that_trains_and_no_other(monkeypatch):
    monkeypatch.setattr(cluster_connection, "REACH_SECONDS", 0.1)
    nobody = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(ClusterError, match=rf"^found no Dask scheduler that answers at {nobody} "):
        check_cluster(modeling.create_pipeline(), nobody)
    check_cluster(modeling.create_pipeline(), None)
    check_cluster(forecasting.create_pipeline(), nobody)


def test_data_source_is_a_table_without_its_password_or_what_a_dataset_does_not_tell():
    url = "postgresql://me:secret@host/sales"
    table = TransactionTableDataset(table="shop.sales", url=url)
    assert data_source(DataCatalog({"raw_transactions": table})) == {
        "data_source": "postgresql:shop.sales"
    }
    of_the_users_own = DataCatalog({"raw_transactions": MemoryDataset(1)})
    assert data_source(of_the_users_own) == data_source(DataCatalog()) == {}


def test_an_environment_that_changes_one_key_keeps_the_others(project):
    (project / "conf" / "local" / "mlflow.yml").write_text("ui:\n  port: '5001'\n")
    config = loader_of(project)["mlflow"]
    assert config["ui"] == {"host": "127.0.0.1", "port": "5001"}
    assert config["tracking"]["params"]["long_params_strategy"] == "truncate"


def test_a_second_run_on_the_same_outputs_is_refused_by_name(project):
    """The first one waits in its node, holding the folder; the second starts meanwhile."""
    idle = "--pipelines=data_processing"
    with subprocess.Popen(
        command("--pipelines=modeling"),
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as first:
        assert first.stdout.readline() == b"ready\n"
        second = run(project, idle)
        assert second.returncode == 1
        assert "found another run that writes to" in second.stderr
        assert f"(process {first.pid} on" in second.stderr
        assert "with --params=data_root=DIR" in second.stderr
        assert "Traceback" not in second.stderr
        elsewhere = run(project, idle, "--params=data_root=elsewhere")
        assert elsewhere.returncode == 0, elsewhere.stderr
        first.kill()
    half = project / "data" / "08_reporting" / ".report.html.1.part"
    half.parent.mkdir(parents=True)
    half.write_text("<htm")
    after = run(project, idle)  # the system has let go of the folder
    assert after.returncode == 0, after.stderr
    assert not half.exists()
    assert "Removed what an interrupted run left" in after.stderr
