"""Past runs: which training run is meant, and that many of them do not make it slow."""

import re
import sqlite3
import time
from contextlib import closing

import pytest

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.queries import PastRuns
from lifemiles_forecasting.tracking.store import sqlite_path
from lifemiles_forecasting.tracking.store_runs import StoreRunWriter
from lifemiles_forecasting.tracking.synthetic import synthetic_store_run

MANY = 8_000  # where going through all metrics for each run took 3 s of CPU


@pytest.fixture
def past(client):
    return PastRuns(client)


def start(client, name, level="pipeline"):
    return client.create_run("1", run_name=name, tags={"run_level": level}).info.run_id


def test_training_is_found_by_id_its_beginning_and_its_name(client, past):
    run_id = start(client, "Training_Pipeline_1")
    start(client, "Training_Pipeline_2")
    start(client, "Store x", level="store")
    for reference in (run_id, run_id[:12], "Training_Pipeline_1"):
        assert past.training(reference).info.run_id == run_id
        assert past.training(reference, "1").info.run_id == run_id


def test_training_with_an_odd_name_is_found(client, past):
    names = ["it's", 'the "new" one', "100 %", "Training_Pipeline_'", "café"]
    started = {name: start(client, name) for name in names}
    assert {name: past.training(name).info.run_id for name in names} == started


def test_unknown_training_is_one_clear_error(client, past):
    start(client, "Training_Pipeline_1")
    for reference in ("", "none", "x' OR tags.a = '", "'\"", "%", "f" * 33):
        message = (
            f"found no training run {reference!r}; expected a run id, the beginning of one, or a "
            "run name. `kedro explore --experiment-id ID` lists them"
        )
        with pytest.raises(TrackingError, match=f"^{re.escape(message)}$"):
            past.training(reference)


def test_a_store_run_or_one_of_another_experiment_is_no_training_run(client, past):
    store = start(client, "Store x", level="store")
    training = start(client, "Training_Pipeline_1")
    for reference, experiment in ((store, None), (training, "0")):
        with pytest.raises(TrackingError, match=f"found no training run '{reference}'"):
            past.training(reference, experiment)


def test_ambiguous_reference_lists_what_it_can_mean(client, past):
    ids = [start(client, "twice"), start(client, "twice")]
    with pytest.raises(TrackingError, match="several training runs that 'twice' can mean") as error:
        past.training("twice")
    assert all(f"{run_id} ('twice')" in str(error.value) for run_id in ids)
    assert str(error.value).endswith("; expected one. Give more of the run id")
    assert past.training(ids[0]).info.run_id == ids[0]
    ids += [start(client, "twice") for _ in range(5)]
    with pytest.raises(TrackingError, match=r"\('twice'\), \.\.\.; expected one"):
        past.training("twice")


def copies(client, run_id, number):
    """Copy a run, in the database itself: one by one, MLflow would take minutes."""
    with closing(sqlite3.connect(sqlite_path(client.tracking_uri))) as database, database:
        for table in ("runs", "tags", "latest_metrics"):
            found = database.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", (run_id,))
            names = [column[0] for column in found.description]
            rows = [dict(zip(names, row, strict=True)) for row in found]
            database.executemany(
                f"INSERT INTO {table} VALUES ({', '.join('?' for _ in names)})",
                (tuple(changed(row, copy).values()) for copy in range(number) for row in rows),
            )


def changed(row, copy):
    own = {"run_uuid": f"{copy:032x}"}
    if row.get("key") == "test_r2":
        own["value"] = copy / MANY
    return {**row, **own}


def test_the_best_of_many_models_come_quickly(client, past):
    parent = client.get_run(start(client, "Training_Pipeline_1"))
    StoreRunWriter(client, parent).write_all([synthetic_store_run(99)])
    (model,) = past.best_models(5)
    copies(client, model["model_uri"].split("/")[1], MANY)
    started = time.process_time()
    best = past.best_models(3)
    seconds = time.process_time() - started
    assert [row["test_r2"] for row in best] == [(MANY - k) / MANY for k in (1, 2, 3)]
    assert seconds < 1
