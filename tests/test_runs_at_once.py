"""Runs at the same time in one project, and what changes no forecast: who trains, and order."""

import subprocess
from collections import Counter

import pandas as pd
import pytest
from dask_cluster import dask_cluster
from filelock import FileLock
from mlflow.tracking import MlflowClient
from nights import FULL_QUICK, add_full_quick, quicken

from lifemiles_forecasting.run_lock import LOCK

CLUSTER = 3  # stands for the workers of a Dask cluster
WORKERS = (1, 2, CLUSTER)
STORES = 8  # of `few_stores` with models of their own
PATIENCE = 240  # seconds; a run that takes longer hangs
OUTPUTS = ("forecasts.parquet", "forecasts.csv", "backtest.parquet", "weights.parquet")


def shuffle(source, folder, seed):
    """The same rows, in another order and in other files of other names."""
    folder.mkdir()
    rows = pd.concat(
        pd.read_csv(file, dtype=str, keep_default_na=False) for file in source.iterdir()
    )
    rows = rows.sample(frac=1, random_state=seed)
    for number in range(seed):
        rows.iloc[number::seed].to_csv(folder / f"{seed - number}.csv", index=False)
    return folder


def start(project, workers, source, scheduler):
    """A run whose training is done by so many processes, or by a cluster."""
    values = f"data_root=out{workers},raw_transactions={source}"
    if workers == CLUSTER:
        given = "--env=cluster", f"--params={values},modeling.scheduler={scheduler}"
    else:
        given = f"--env={FULL_QUICK}", f"--params={values},modeling.workers={workers}"
    return project.start("run", *given, errors=subprocess.PIPE)


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """A Dask cluster of two workers, and how much its tasks had gone through before any run."""
    folder = tmp_path_factory.mktemp("cluster")
    with dask_cluster(folder) as made, made.workers(2, "--nthreads", 1):
        yield made, made.transitions()


@pytest.fixture(scope="module")
def project(copy_project, tmp_path_factory, few_stores, dask):
    """Runs that start together in a new project, whose database none has made yet."""
    project = copy_project(tmp_path_factory.mktemp("at_once"), store=None)
    add_full_quick(project)
    quicken(project, "cluster")
    cluster, _ = dask
    processes = []
    for workers in WORKERS:
        folder = project.folder / f"raw{workers}"
        source = few_stores if workers == 1 else shuffle(few_stores, folder, workers)
        processes.append(start(project, workers, source, cluster.address))
    for process in processes:
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
    return project


@pytest.fixture(scope="module")
def runs(project):
    return MlflowClient(tracking_uri=project.tracking_uri).search_runs(["1"], max_results=1_000)


def test_run_that_is_given_a_cluster_trains_there(project, dask):
    cluster, before = dask
    assert cluster.transitions() > before


@pytest.mark.parametrize("name", OUTPUTS)
def test_who_trains_and_the_order_of_rows_and_files_change_no_byte(project, name):
    contents = {project.output(f"07_model_output/{name}", f"out{n}").read_bytes() for n in WORKERS}
    assert len(contents) == 1


def test_every_run_has_stores_of_its_own(runs):
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    roots = {run.data.params["data_root"] for run in parents}
    assert roots == {f"out{workers}" for workers in WORKERS}
    assert {run.info.status for run in runs} == {"FINISHED"}
    children = Counter(
        (run.data.tags["mlflow.parentRunId"], run.data.tags["store_id"])
        for run in runs
        if "mlflow.parentRunId" in run.data.tags
    )
    assert set(children.values()) == {1}
    per_parent = Counter(parent for parent, _ in children)
    assert per_parent == {run.info.run_id: STORES for run in parents}


def test_one_model_is_in_charge_and_every_run_has_registered_one(project, runs):
    client = MlflowClient(tracking_uri=project.tracking_uri)
    (model,) = client.search_registered_models()
    versions = client.search_model_versions(f"name='{model.name}'")
    parents = {run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags}
    assert {version.run_id for version in versions} == parents
    assert len(versions) == len(WORKERS)


def test_second_run_into_the_same_folder_is_refused_by_name(project, runs):
    with FileLock(project.folder / "out1" / LOCK):
        result = project.kedro("run", "--env=quick", "--params=data_root=out1")
    assert result.returncode == 1
    assert "another run that writes to" in result.stderr
    assert "out1" in result.stderr
    assert "--params=data_root=DIR" in result.stderr
    assert "Traceback" not in result.stderr
    after = MlflowClient(tracking_uri=project.tracking_uri).search_runs(["1"], max_results=1_000)
    assert len(after) == len(runs)  # refused before it was tracked
