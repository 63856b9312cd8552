"""Old runs deleted for good from real tracking stores; the disk is measured, not believed."""

import hashlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking import database as database_module
from lifemiles_forecasting.tracking import orphans
from lifemiles_forecasting.tracking.backup import backup
from lifemiles_forecasting.tracking.model import read_files
from lifemiles_forecasting.tracking.prune import prune
from lifemiles_forecasting.tracking.restore import restore
from lifemiles_forecasting.tracking.retention import Rule
from lifemiles_forecasting.tracking.run_record import write_record
from lifemiles_forecasting.tracking.size import store_size
from lifemiles_forecasting.tracking.store import sqlite_uri, tune_sqlite
from lifemiles_forecasting.tracking.store_runs import children_filter
from lifemiles_forecasting.tracking.synthetic import synthetic_record, synthetic_training

DAY = 86_400_000
ECHO = """
import mlflow
class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]):
        return model_input
mlflow.models.set_model(Echo())
"""

# a training that never ends, in a process of its own
WRITER = """
import sys
from itertools import count
from mlflow.tracking import MlflowClient
from lifemiles_forecasting.tracking.store import tune_sqlite
from lifemiles_forecasting.tracking.store_runs import StoreRunWriter
from lifemiles_forecasting.tracking.synthetic import synthetic_store_run
tune_sqlite()
client = MlflowClient(tracking_uri=sys.argv[1])
parent = client.create_run("1", start_time=1, tags={"run_level": "pipeline"})
for number in count():
    StoreRunWriter(client, parent).write_all([synthetic_store_run(number)])
    print(parent.info.run_id, flush=True)
"""


def uri_of(folder):
    return sqlite_uri(folder / "mlflow.db")


def state(folder):
    """Every file and what is in it; the shared memory of open databases is none."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.endswith("-shm")
    }


def bytes_on_disk(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def run_rows(folder):
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return {key for (key,) in database.execute("SELECT run_uuid FROM runs")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Trainings of days 1 to 6 and everything else that can be in a store; and its run ids."""
    folder = tmp_path_factory.mktemp("made")
    before = mlflow.get_tracking_uri()
    tune_sqlite()
    mlflow.set_tracking_uri(uri_of(folder))
    client = MlflowClient(tracking_uri=uri_of(folder))
    client.create_experiment("Training", artifact_location=(folder / "mlruns").as_uri())
    mlflow.set_experiment("Training")
    ids = {f"day {day}": synthetic_training(client, "1", started=day * DAY) for day in range(1, 7)}
    script = folder / "echo.py"
    script.write_text(ECHO)
    client.create_registered_model("m")
    for day in (1, 3, 4):
        with mlflow.start_run(run_id=ids[f"day {day}"]):
            info = mlflow.pyfunc.log_model(
                name="echo", python_model=str(script), pip_requirements=["mlflow"]
            )
            mlflow.log_metric("quality", 1.0, model_id=info.model_id)
        client.create_model_version("m", info.model_uri, ids[f"day {day}"])
    child = client.search_runs(["1"], children_filter(ids["day 2"]))[0]
    client.create_model_version("m", f"{child.info.artifact_uri}/model", child.info.run_id)
    client.set_registered_model_alias("m", "champion", 2)
    client.set_registered_model_alias("m", "challenger", 3)
    client.set_registered_model_tag("m", "champion_history", "1,4,2")
    for name, level, day in [
        ("old scoring", "scoring", 1),
        ("new scoring", "scoring", 6),
        ("old monitoring", "monitoring", 1),
        ("old partial", "partial", 1),
        ("old notebook", None, 1),
    ]:
        tags = {"run_level": level} if level else {}
        run = client.create_run("1", start_time=day * DAY, tags=tags)
        client.log_dict(run.info.run_id, {"name": name}, "note.json")
        client.set_terminated(run.info.run_id)
        ids[name] = run.info.run_id
    data = {**synthetic_record().dataset, "digest": "used by it alone"}
    write_record(client, ids["old scoring"], replace(synthetic_record(), dataset=data))
    ids["running"] = synthetic_training(client, "1", started=DAY, status="RUNNING")
    ids["failed"] = synthetic_training(client, "1", started=2 * DAY, status="FAILED")
    lost = {"run_level": "store", "mlflow.parentRunId": "f" * 32}
    ids["without parent"] = client.create_run("1", start_time=6 * DAY, tags=lost).info.run_id
    client.set_terminated(ids["without parent"])
    ids["binned"] = synthetic_training(client, "1", stores=1, started=6 * DAY)
    client.delete_run(ids["binned"])
    mlflow.set_tracking_uri(before)
    orphan = folder / "mlruns" / ("0" * 32) / "artifacts"
    orphan.mkdir(parents=True)
    (orphan / "left.bin").write_bytes(bytes(5_000))
    return folder, ids


@pytest.fixture
def store(made, tmp_path):
    """A copy that the test may change, with the orphan that a backup leaves behind."""
    folder, ids = made
    backup(uri_of(folder), tmp_path / "copy")
    restore(uri_of(tmp_path / "project"), tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy")
    project = tmp_path / "project"
    shutil.copytree(folder / "mlruns" / ("0" * 32), project / "mlruns" / ("0" * 32))
    with closing(sqlite3.connect(project / "mlflow.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
    return project, ids


def family(folder, parent):
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        query = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = ?"
        return {parent, *(key for (key,) in database.execute(query, [parent]))}


def test_what_goes_goes_for_good_and_frees_what_is_said(store):
    folder, ids = store
    gone = {
        key for name in ("day 1", "day 5", "failed", "binned") for key in family(folder, ids[name])
    } | {ids[name] for name in ("old scoring", "old monitoring", "old partial", "without parent")}
    rows, before = run_rows(folder), bytes_on_disk(folder)
    pruned = prune(uri_of(folder), Rule(keep=1))
    assert rows - run_rows(folder) == gone == pruned.plan.choice.gone
    freed = sum(pruned.freed.values()) + pruned.database_bytes
    assert before - bytes_on_disk(folder) == freed
    assert pruned.database_bytes > 0
    assert pruned.remark == ""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("PRAGMA freelist_count").fetchone() == (0,)
        content = "\n".join(database.iterdump())
    assert not [key for key in gone | pruned.plan.models if key in content]
    assert "used by it alone" not in content
    assert synthetic_record().dataset["digest"][:36] in content
    assert not [key for key in gone if (folder / "mlruns" / key).exists()]
    assert not (folder / "mlruns" / ("0" * 32)).exists()
    assert [row["version"] for row in pruned.versions()] == [1]


def test_the_table_says_what_went(store):
    folder, ids = store
    pruned = prune(uri_of(folder), Rule(keep=1))
    _, training, nobody = pruned.by_experiment()
    sizes = {name: training[name] for name in training if name.endswith(("s", "kept"))}
    # the trainings of days 2, 3, 4, 6 and the one that is running are kept
    assert sizes | {"artifact_bytes": 0} == {
        "trainings_kept": 5,
        "trainings": 4,
        "nested_runs": 3 * 2 + 1 + 1,
        "other_runs": 3,
        "logged_models": 1,
        "artifact_bytes": 0,
    }
    assert (nobody["experiment"], nobody["artifact_bytes"]) == ("(1 folders of no run)", 5_000)
    assert {row["run_id"]: row["because_of"] for row in pruned.spared()} == {
        ids["day 2"]: "champion before, version 4 of m",
        ids["day 3"]: "champion, version 2 of m",
        ids["day 4"]: "challenger, version 3 of m",
        ids["running"]: "running",
    }


def test_champions_and_challengers_still_load(store):
    folder, ids = store
    prune(uri_of(folder), Rule(keep=1))
    before = mlflow.get_tracking_uri()
    try:
        mlflow.set_tracking_uri(uri_of(folder))
        for alias in ("champion", "challenger"):
            assert mlflow.pyfunc.load_model(f"models:/m@{alias}").predict(["a"]) == ["a"]
        earlier = Path(mlflow.artifacts.download_artifacts("models:/m/4"))
        assert read_files(earlier / "data" / "store_model")
        client = MlflowClient()
        for name in ("day 2", "day 3", "day 4", "day 6", "running"):
            assert len(client.search_runs(["1"], children_filter(ids[name]))) == 2
    finally:
        mlflow.set_tracking_uri(before)


def test_dry_run_says_the_same_and_changes_nothing(store, tmp_path, monkeypatch):
    folder, _ = store
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary?%20"))
    (tmp_path / "temporary?%20").mkdir()  # a name that means something in an address
    before = state(folder)
    said = prune(uri_of(folder), Rule(keep=1), dry_run=True)
    assert state(folder) == before
    done = prune(uri_of(folder), Rule(keep=1))
    assert (said.by_experiment(), said.versions(), said.spared(), said.database_bytes) == (
        done.by_experiment(),
        done.versions(),
        done.spared(),
        done.database_bytes,
    )


def test_second_time_finds_nothing(store):
    folder, _ = store
    prune(uri_of(folder), Rule(keep=1))
    before = state(folder)
    again = prune(uri_of(folder), Rule(keep=1))
    assert (again.plan.choice.gone, again.freed, again.database_bytes) == (frozenset(), {}, 0)
    assert {name for name, mark in state(folder).items() if before[name] != mark} <= {"mlflow.db"}


def test_age_spares_what_is_younger(store):
    folder, ids = store
    olds = {ids[name] for name in ("old scoring", "old monitoring", "old partial")}
    expected = family(folder, ids["day 1"]) | olds
    pruned = prune(uri_of(folder), Rule(keep=1, before=2 * DAY))
    assert pruned.plan.choice.gone == expected
    assert (folder / "mlruns" / ("0" * 32)).exists()


@pytest.mark.parametrize(
    "address",
    [
        "{outside}",
        "{outside}/artifacts",
        "{location}",
        "{location}/{kept}/artifacts",
        "{location}/{run}/../../../outside",
        "{location}/%2e%2e/%2e%2e/outside",
        "/",
    ],
)
def test_nothing_outside_of_a_runs_own_folder_is_deleted(store, tmp_path, address):
    folder, ids = store
    outside = tmp_path / "outside"
    (outside / "artifacts").mkdir(parents=True)
    (outside / "artifacts" / "precious").write_text("x")
    places = {"outside": outside.as_uri(), "location": (folder / "mlruns").as_uri()}
    hostile = address.format(**places, kept=ids["day 6"], run=ids["day 1"])
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        change = "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?"
        database.execute(change, [hostile, ids["day 1"]])
    pruned = prune(uri_of(folder), Rule(keep=1))
    assert (outside / "artifacts" / "precious").exists()
    assert family(folder, ids["day 6"]) <= run_rows(folder)
    why = {row["run_id"]: row["because_of"] for row in pruned.spared()}
    assert why[ids["day 1"]].startswith("its artifacts are not in its folder")
    assert ids["day 1"] in run_rows(folder)


@pytest.mark.parametrize("name", ["run", "artifacts", "model"])
def test_links_are_not_followed(store, tmp_path, name):
    folder, ids = store
    outside = tmp_path / "outside"
    (outside / "artifacts").mkdir(parents=True)
    (outside / "artifacts" / "precious").write_text("x")
    run = folder / "mlruns" / ids["old scoring"]
    link, target = {
        "run": (run, outside),
        "artifacts": (run / "artifacts", outside / "artifacts"),
        "model": (run / "artifacts" / "model", outside),
    }[name]
    if name != "model":
        shutil.rmtree(link)
    link.symlink_to(target)
    prune(uri_of(folder), Rule(keep=1))
    assert (outside / "artifacts" / "precious").exists()
    assert (ids["old scoring"] in run_rows(folder)) == (name != "model")


def test_folders_of_no_run_can_stay_and_odd_ones_always_do(store):
    folder, _ = store
    orphan = folder / "mlruns" / ("0" * 32)
    odd = folder / "mlruns" / ("1" * 32)
    odd.mkdir()
    (odd / "thesis.tex").write_text("mine")
    prune(uri_of(folder), Rule(keep=1), orphans=False)
    assert orphan.exists()
    prune(uri_of(folder), Rule(keep=1))
    assert not orphan.exists()
    assert odd.exists()


def test_experiment_whose_folder_is_gone_does_not_stop_the_search(store):
    folder, _ = store
    client = MlflowClient(tracking_uri=uri_of(folder))
    client.create_experiment("unmounted", artifact_location=(folder / "gone" / "runs").as_uri())
    assert store_size(uri_of(folder))["totals"][0]["bytes_of_no_run"] > 0
    prune(uri_of(folder), Rule(keep=1))
    assert not (folder / "mlruns" / ("0" * 32)).exists()


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_orphan_that_goes_by_itself_meanwhile_is_gone(store, monkeypatch, dry_run):
    folder, _ = store
    orphan = folder / "mlruns" / ("0" * 32)

    def listed_and_gone(uri):
        found = orphans.folders_of_nobody(uri)
        assert found == [orphan]
        shutil.rmtree(orphan)
        return found

    monkeypatch.setattr("lifemiles_forecasting.tracking.prune.folders_of_nobody", listed_and_gone)
    pruned = prune(uri_of(folder), Rule(keep=1), dry_run=dry_run)
    assert orphan not in pruned.plan.folders
    assert pruned.plan.choice.gone  # and the rest goes as it would


def test_folders_of_a_neighbouring_database_are_not_orphans(store):
    folder, _ = store
    neighbour = folder / "neighbour.db"
    with closing(sqlite3.connect(neighbour)) as database, database:
        database.execute("CREATE TABLE runs (run_uuid TEXT)")
        database.execute("CREATE TABLE logged_models (model_id TEXT)")
        database.execute("INSERT INTO runs VALUES (?)", ["0" * 32])
    assert store_size(uri_of(folder))["totals"][0]["bytes_of_no_run"] == 0
    prune(uri_of(folder), Rule(keep=1))
    assert (folder / "mlruns" / ("0" * 32)).exists()
    neighbour.write_bytes(b"SQLite format 3\0" + bytes(200))
    before = state(folder)
    with pytest.raises(TrackingError, match=r"neighbour.db that cannot be read .*--keep-orphans"):
        prune(uri_of(folder), Rule(keep=1))
    assert state(folder) == before


@pytest.mark.parametrize(
    "uri", ["http://me:secret@127.0.0.1:1", "mysql://me:secret@db/x", "sqlite://"]
)
def test_other_stores_are_refused_and_gc_is_named(uri):
    for work in (lambda: prune(uri, Rule(keep=1)), lambda: store_size(uri)):
        with pytest.raises(TrackingError, match="a SQLite file or a PostgreSQL database") as error:
            work()
        assert "secret" not in str(error.value)
    with pytest.raises(TrackingError, match="mlflow gc"):
        prune(uri, Rule(keep=1))


def refused(folder, change, message):
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        database.execute(change)
    before = state(folder)
    with pytest.raises(TrackingError, match=message):
        prune(uri_of(folder), Rule(keep=1))
    assert state(folder) == before


def test_artifacts_in_a_bucket_stop_everything(store):
    change = "UPDATE runs SET artifact_uri = 's3://bucket/x' WHERE start_time = 86400000"
    refused(
        store[0], change, "at s3://bucket/x; expected a folder .*Nothing was deleted.*mlflow gc"
    )


def test_history_that_cannot_be_read_stops_everything(store):
    change = "UPDATE registered_model_tags SET value = '1;4'"
    refused(store[0], change, "champion_history of registered model 'm' with the value '1;4'")


def test_rows_that_are_not_known_to_refer_to_a_run_stop_everything(store):
    """Tables of a later MLflow: the database itself notices, and nothing is half done."""
    folder, ids = store
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        database.execute("CREATE TABLE later (run_id TEXT REFERENCES runs (run_uuid))")
        database.execute("INSERT INTO later VALUES (?)", [ids["day 1"]])
    refused(folder, "SELECT 1", "FOREIGN KEY constraint failed; .*Nothing was changed")


def test_busy_database_is_left_alone(store, monkeypatch):
    folder, _ = store
    monkeypatch.setattr(database_module, "_PATIENCE_SECONDS", 0.1)
    with closing(sqlite3.connect(folder / "mlflow.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(TrackingError, match=r"database is locked; .*Nothing was changed"):
            prune(uri_of(folder), Rule(keep=1))


def test_reader_only_delays_the_shrinking(store, monkeypatch):
    folder, ids = store
    monkeypatch.setattr(database_module, "_PATIENCE_SECONDS", 0.1)
    with closing(sqlite3.connect(folder / "mlflow.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM runs").fetchone()
        pruned = prune(uri_of(folder), Rule(keep=1))
        assert pruned.remark == "another program is reading it"
        assert ids["day 1"] not in run_rows(folder)
    assert prune(uri_of(folder), Rule(keep=1)).remark == ""


def test_training_that_goes_on_notices_nothing(store):
    folder, ids = store
    command = [sys.executable, "-c", WRITER, uri_of(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer:
        parent = writer.stdout.readline().decode().strip()
        pruned = prune(uri_of(folder), Rule(keep=1))
        lines = [writer.stdout.readline() for _ in range(5)]
        assert writer.poll() is None
        writer.kill()
    assert lines == [f"{parent}\n".encode()] * 5
    assert len(family(folder, parent)) > 5
    for key in family(folder, parent) - {parent}:
        assert (folder / "mlruns" / key).is_dir()
    assert ids["day 1"] in pruned.plan.choice.gone
    assert pruned.plan.choice.spared[parent] == "running"
    assert store_size(uri_of(folder))["totals"][0]["bytes_of_no_run"] == 0


def test_folders_that_cannot_be_deleted_go_the_next_time(store, monkeypatch):
    folder, ids = store
    stubborn = folder / "mlruns" / ids["old partial"]
    really = shutil.rmtree

    def rmtree(path):
        if path == stubborn:
            raise PermissionError(13, "Permission denied", str(path))
        really(path)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", rmtree)
        with pytest.raises(TrackingError, match="1 artifact folders that could not be deleted"):
            prune(uri_of(folder), Rule(keep=1))
    assert stubborn.exists()
    assert ids["old partial"] not in run_rows(folder)
    assert stubborn in prune(uri_of(folder), Rule(keep=1)).freed
    assert not stubborn.exists()


def test_file_that_cannot_be_read_is_not_ours_to_judge(store, monkeypatch, caplog):
    folder, _ = store
    secret, really = folder / "secret.bin", Path.open
    secret.touch()

    def refused(path, *arguments, **options):
        if path == secret:
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, *arguments, **options)

    before = state(folder)
    monkeypatch.setattr(Path, "open", refused)
    message = r"found .*secret.bin that cannot be read \(Permission denied\).*--keep-orphans"
    with pytest.raises(TrackingError, match=message):
        prune(uri_of(folder), Rule(keep=1))
    answer = store_size(uri_of(folder))
    monkeypatch.setattr(Path, "open", really)
    assert state(folder) == before
    assert answer["totals"][0]["bytes_of_no_run"] is None
    assert answer["runs"]
    assert "The bytes of no run are not counted: found" in caplog.text


def test_size_is_that_of_the_disk(store):
    folder, _ = store
    before = state(folder)
    answer = store_size(uri_of(folder))
    assert state(folder) == before
    totals = answer["totals"][0]
    assert totals["database_bytes"] == (folder / "mlflow.db").stat().st_size
    assert totals["bytes_of_no_run"] == 5_000
    assert totals["artifact_bytes"] + 5_000 == bytes_on_disk(folder / "mlruns")
    assert sum(row["artifact_bytes"] for row in answer["runs"]) == totals["artifact_bytes"]
    counts = {(row["level"], row["stage"]): row["runs"] for row in answer["runs"]}
    assert counts == {
        ("pipeline", "active"): 8,
        ("pipeline", "deleted"): 1,
        ("store", "active"): 8 * 2 + 1 + 1,
        ("scoring", "active"): 2,
        ("monitoring", "active"): 1,
        ("partial", "active"): 1,
        ("other", "active"): 1,
    }


def test_nothing_to_prune_yet(tmp_path):
    for work in (
        lambda: prune(uri_of(tmp_path), Rule(keep=1)),
        lambda: store_size(uri_of(tmp_path)),
    ):
        with pytest.raises(TrackingError, match="Run `kedro run` first"):
            work()
    assert list(tmp_path.iterdir()) == []
