"""The registered model in every state that it can be in."""

import sqlite3
import time
from contextlib import closing
from datetime import datetime

import pytest
from mlflow.exceptions import MlflowException

from lifemiles_forecasting.tracking.champion import registered_versions
from lifemiles_forecasting.tracking.names import REGISTERED_MODEL
from lifemiles_forecasting.tracking.queries import PastRuns
from lifemiles_forecasting.tracking.run_record import write_record
from lifemiles_forecasting.tracking.store import sqlite_path
from lifemiles_forecasting.tracking.synthetic import synthetic_record

SINCE = "2026-01-31T02:10:00+00:00"


@pytest.fixture
def version(client):
    """Registers the model of a new training run, with tags."""

    def register(avg_r2, **tags):
        run = client.create_run("1", run_name=f"run {avg_r2}", tags={"run_level": "pipeline"})
        write_record(client, run.info.run_id, synthetic_record(avg_r2))
        client.set_terminated(run.info.run_id)
        source = f"{run.info.artifact_uri}/model"
        return client.create_model_version(REGISTERED_MODEL, source, run.info.run_id, tags).version

    return register


def test_champion_and_challenger_through_their_life(client, version):
    assert registered_versions(client) == []
    before = time.time()
    client.create_registered_model(REGISTERED_MODEL)
    first = version(0.5, gate_status="passed", promoted_at=SINCE)
    assert registered_versions(client) == []

    client.set_registered_model_alias(REGISTERED_MODEL, "champion", first)
    client.set_registered_model_alias(REGISTERED_MODEL, "someone_elses", first)
    (champion,) = registered_versions(client)
    (training,) = PastRuns(client).trainings("1", 10)
    assert training.items() <= champion.items()
    assert (champion["alias"], champion["version"], champion["avg_r2"]) == ("champion", 1, 0.5)
    assert (champion["wape"], champion["bias"], champion["coverage_80"]) == (61.5, -2.4, 79.1)
    assert (champion["gate_status"], champion["gate_reasons"]) == ("passed", None)
    assert champion["champion_since"] == SINCE
    name, alias = champion["model_uri"].removeprefix("models:/").split("@")
    assert client.get_model_version_by_alias(name, alias).run_id == champion["run_id"]
    assert 0 <= datetime.fromisoformat(champion["registered"]).timestamp() + 1 - before < 60

    second = version(0.4, gate_status="refused", gate_reasons="WAPE is worse", gate_wape="63.1")
    client.set_registered_model_alias(REGISTERED_MODEL, "challenger", second)
    champion, challenger = registered_versions(client)
    assert list(champion) == list(challenger)
    assert (champion["gate_status"], champion["gate_wape"]) == ("passed", None)
    assert (challenger["alias"], challenger["version"], challenger["avg_r2"]) == (
        "challenger",
        2,
        0.4,
    )
    assert (challenger["gate_status"], challenger["gate_reasons"]) == ("refused", "WAPE is worse")
    assert (challenger["gate_wape"], challenger["champion_since"]) == ("63.1", None)

    client.delete_registered_model_alias(REGISTERED_MODEL, "champion")
    (alone,) = registered_versions(client)
    assert alone["alias"] == "challenger"


def test_champion_whose_run_is_gone_is_still_shown(client, version):
    client.create_registered_model(REGISTERED_MODEL)
    client.set_registered_model_alias(REGISTERED_MODEL, "champion", version(0.5))
    (there,) = registered_versions(client)
    with closing(sqlite3.connect(sqlite_path(client.tracking_uri))) as database, database:
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            database.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (there["run_id"],))
    (gone,) = registered_versions(client)
    assert list(gone) == list(there)
    assert (gone["version"], gone["run_id"]) == (1, there["run_id"])
    assert (gone["run_name"], gone["avg_r2"], gone["wape"]) == (None, None, None)


def test_a_registry_that_does_not_answer_is_no_empty_registry(client, monkeypatch):
    def refuse(_):
        raise MlflowException("no", error_code=7)  # PERMISSION_DENIED

    monkeypatch.setattr(client, "get_registered_model", refuse)
    with pytest.raises(MlflowException, match="no"):
        registered_versions(client)
