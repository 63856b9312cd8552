"""Tracking databases that go away in the middle of a training run; the next run replays it."""

import sqlite3
from contextlib import closing, contextmanager

import nights
import pytest
from lost_store import assert_replayed, every_run, parameters, said_until, start
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.tracking.spool import has_spool, spool_uri

pytestmark = pytest.mark.torture


@contextmanager
def renamed(postgres, name):
    """Nobody can use a database of PostgreSQL, and who did is thrown out."""
    with postgres.connect("postgres") as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        yield
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@contextmanager
def locked(path):
    """Another program writes to a SQLite file, and does not come to an end."""
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_next_run_replays_what_a_database_has_missed(
    kind, few_stores, fresh_project, request, tmp_path
):
    project = fresh_project
    nights.add_full_quick(project)
    if kind == "postgresql":
        postgres = request.getfixturevalue("postgres")
        uri = postgres.create_database("goes_away")
        away = renamed(postgres, "goes_away")
    else:
        uri, away = f"sqlite:///{tmp_path}/runs.db", locked(tmp_path / "runs.db")
    run = start(project, few_stores, uri)
    said = said_until(run, "Running node: read_events")
    with away:
        said += run.communicate(timeout=300)[0]
    assert run.returncode == 0, said
    assert "Going on without it; when it is back" in said
    assert "Traceback" not in said
    outputs = project.folder / "data"
    forecasts = (outputs / "07_model_output/forecasts.csv").read_bytes()
    spooled = every_run(MlflowClient(tracking_uri=spool_uri(outputs)))
    again = project.kedro(
        "run", f"--env={nights.FULL_QUICK}", parameters(few_stores), MLFLOW_TRACKING_URI=uri
    )
    assert again.returncode == 0, again.stderr
    assert "tracked while the store was away, is there now" in again.stderr
    assert not has_spool(outputs)
    client = MlflowClient(uri, uri)
    assert_replayed(client, spooled)
    assert {run.info.status for run in every_run(client).values()} <= {"FINISHED", "KILLED"}
    assert (outputs / "07_model_output/forecasts.csv").read_bytes() == forecasts
