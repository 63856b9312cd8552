"""A real `kedro run` that trains on a Dask cluster."""

import subprocess
import sys

import pytest
import yaml
from dask_cluster import dask_cluster
from mlflow.tracking import MlflowClient
from services import free_port

from lifemiles_forecasting.core import cluster_connection
from lifemiles_forecasting.core.errors import ClusterError
from lifemiles_forecasting.hooks import check_cluster
from lifemiles_forecasting.pipelines import forecasting, modeling

PATIENCE = 240  # seconds; a run that takes longer hangs
STORES = 3
SIZES = {"small": {"iterations": 20, "depth": 3, "learning_rate": 0.2}}
QUICK = {"n_windows": 2, "candidates": ["base", "direct", "ridge"], "direct": {"sizes": SIZES}}


@pytest.fixture(scope="module")
def project(copy_project, tmp_path_factory):
    """A project that trains as a cluster would, but quickly."""
    project = copy_project(tmp_path_factory.mktemp("on_a_cluster"))
    file = project.folder / "conf" / "base" / "parameters_modeling.yml"
    settings = yaml.safe_load(file.read_text("utf-8"))
    settings["modeling"] |= QUICK | {
        name: {"sizes": SIZES} for name in ("direct", "local_catboost")
    }
    file.write_text(yaml.safe_dump(settings), "utf-8")
    return project


def start(project, *arguments):
    command = [sys.executable, "-m", "kedro", "run", "--env=cluster", *arguments]
    return subprocess.Popen(
        command, cwd=project.folder, env=project.environment(), stderr=subprocess.PIPE, text=True
    )


def test_run_on_a_cluster_gives_the_forecasts_of_a_local_run(project, few_stores, tmp_path):
    given = f"--params=raw_transactions={few_stores},max_stores={STORES}"
    with dask_cluster(tmp_path) as dask, dask.workers(1, "--nthreads", 1):
        before = dask.transitions()
        runs = (
            start(project, f"{given},modeling.scheduler={dask.address}"),
            start(project, f"{given},data_root=local", "--to-nodes=forecast_stores"),
        )
        for run in runs:
            _, errors = run.communicate(timeout=PATIENCE)
            assert run.returncode == 0, errors
        assert dask.transitions() > before
    forecasts = "07_model_output/forecasts.parquet"
    there, here = (project.output(forecasts, root).read_bytes() for root in ("data", "local"))
    assert there == here
    client = MlflowClient(tracking_uri=project.tracking_uri)
    (parent,) = client.search_runs(["1"], "tags.run_level = 'pipeline'")
    assert parent.data.params["modeling.scheduler"] == dask.address
    assert parent.data.metrics["successful_models"] == STORES


def test_scheduler_is_reached_for_before_a_run_that_trains_and_no_other(monkeypatch):
    monkeypatch.setattr(cluster_connection, "REACH_SECONDS", 0.1)
    nobody = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(ClusterError, match=rf"^found no Dask scheduler that answers at {nobody} "):
        check_cluster(modeling.create_pipeline(), nobody)
    check_cluster(modeling.create_pipeline(), None)
    check_cluster(forecasting.create_pipeline(), nobody)
