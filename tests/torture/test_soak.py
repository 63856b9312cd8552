"""Thirty nightly runs in a row, each with a day more of data."""

import sqlite3

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from nights import add_full_quick, run_night

pytestmark = pytest.mark.torture

NIGHTS, STORES, KEPT = 30, 8, 5
FLAT = 1.25  # the last ten nights against the first ten; two equal runs differ by a tenth
MODEL = "lifemiles_store_forecaster"
FIRST_NIGHT = pd.Timestamp("2017-12-01")


def take_day(few_stores_longer, folder, day):
    """Put the rows of one day into the folder of raw files, as an export of that night."""
    month = pd.read_csv(
        few_stores_longer / f"data_lm_{day:%Y%m}.csv", dtype=str, keep_default_na=False
    )
    today = month["Transaction Date"].str.startswith(f"{day:%Y-%m-%d}")
    month[today].to_csv(folder / f"data_lm_{day:%Y%m%d}.csv", index=False)


def megabytes(path):
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files) / 1e6


def database_megabytes(project):
    """Size once everything is in its main file."""
    path = project.folder / "mlflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return megabytes(path)


@pytest.fixture(scope="module")
def project(copy_project, tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("soak"))
    add_full_quick(project)
    return project


@pytest.fixture(scope="module")
def nights(project, few_stores_longer):
    """What each night took, and what it left."""
    raw = project.folder / "raw"
    raw.mkdir()
    for file in few_stores_longer.iterdir():
        if file.name < f"data_lm_{FIRST_NIGHT:%Y%m}":
            (raw / file.name).write_bytes(file.read_bytes())
    client = MlflowClient(tracking_uri=project.tracking_uri)
    rows = []
    for day in pd.date_range(FIRST_NIGHT, periods=NIGHTS):
        take_day(few_stores_longer, raw, day)
        used = run_night(project, "--params=raw_transactions=raw,modeling.workers=2")
        champion = client.get_model_version_by_alias(MODEL, "champion")
        rows.append(
            {
                "day": day,
                "cpu_seconds": used.cpu_seconds,
                "run_megabytes": used.megabytes,
                "database": database_megabytes(project),
                "artifacts": megabytes(project.folder / "mlruns"),
                "data": megabytes(project.folder / "data"),
                "champion": int(champion.version),
            }
        )
    frame = pd.DataFrame(rows)
    frame.to_csv(project.folder / "nights.csv")
    return frame


@pytest.mark.parametrize("what", ["cpu_seconds", "run_megabytes"])
def test_time_and_memory_are_flat(nights, what):
    first, last = nights[what].head(10).median(), nights[what].tail(10).median()
    assert last < FLAT * first


def test_outputs_do_not_pile_up(nights):
    assert nights["data"].tail(10).median() < FLAT * nights["data"].head(10).median()


@pytest.mark.parametrize("what", ["database", "artifacts"])
def test_tracking_store_grows_by_the_same_every_night(nights, what):
    growth = nights[what].diff().iloc[1:].to_numpy()
    early, late = np.array_split(growth, 2)
    assert early.mean() > 0
    assert late.mean() == pytest.approx(early.mean(), rel=FLAT - 1)


def test_every_night_has_its_runs(nights, project):
    client = MlflowClient(tracking_uri=project.tracking_uri)
    runs = client.search_runs(["1"], max_results=5_000)
    assert {run.info.status for run in runs} == {"FINISHED"}
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == NIGHTS
    assert len(runs) == NIGHTS * (1 + STORES)
    forecasts = pd.read_parquet(project.output("07_model_output/forecasts.parquet"))
    assert forecasts["date"].min() == nights["day"].iloc[-1] + pd.Timedelta(days=1)


def test_champion_changes_by_the_gate_alone(nights, project):
    client = MlflowClient(tracking_uri=project.tracking_uri)
    versions = client.search_model_versions(f"name='{MODEL}'", max_results=1_000)
    passed = {int(one.version) for one in versions if one.tags["gate_status"] == "passed"}
    assert len(versions) == NIGHTS
    expected = [
        max((version for version in passed if version <= night), default=None)
        for night in range(1, NIGHTS + 1)
    ]
    assert nights["champion"].tolist() == expected


def test_prune_keeps_the_newest_and_the_champion(nights, project):
    champion = int(nights["champion"].iloc[-1])
    result = project.kedro("tracking", "prune", f"--keep={KEPT}", "--older-than=0d")
    assert result.returncode == 0, result.stderr
    client = MlflowClient(tracking_uri=project.tracking_uri)
    runs = client.search_runs(["1"], max_results=5_000)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    of_champion = client.get_model_version(MODEL, str(champion)).run_id
    assert of_champion in {run.info.run_id for run in parents}
    assert KEPT <= len(parents) <= KEPT + 1
    assert len(runs) == len(parents) * (1 + STORES)
    assert megabytes(project.folder / "mlruns") < FLAT * nights["artifacts"].iloc[KEPT]
    assert run_night(project, "--params=raw_transactions=raw,modeling.workers=2").cpu_seconds > 0
