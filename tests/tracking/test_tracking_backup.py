"""Backups of real tracking stores, put back elsewhere."""

import hashlib
import io
import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.backup import backup
from lifemiles_forecasting.tracking.model import read_files
from lifemiles_forecasting.tracking.queries import PastRuns
from lifemiles_forecasting.tracking.restore import restore
from lifemiles_forecasting.tracking.store import sqlite_uri
from lifemiles_forecasting.tracking.synthetic import synthetic_training

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
parent = client.create_run("1", tags={"run_level": "pipeline"})
for number in count():
    StoreRunWriter(client, parent).write_all([synthetic_store_run(number, model_bytes=400_000)])
    print(number, flush=True)
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


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A training, a LoggedModel with an alias, a version on a store's run, a run in the bin."""
    folder = tmp_path_factory.mktemp("source")
    before, uri = mlflow.get_tracking_uri(), uri_of(folder)
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(tracking_uri=uri)
    client.create_experiment("Training", artifact_location=(folder / "mlruns").as_uri())
    elsewhere = folder.parent / f"{folder.name} elsewhere"
    client.create_experiment("Elsewhere", artifact_location=str(elsewhere))
    mlflow.set_experiment("Training")
    parent = synthetic_training(client, "1")
    synthetic_training(client, "2", stores=1)
    script = folder / "echo.py"
    script.write_text(ECHO)
    with mlflow.start_run(run_id=parent):
        info = mlflow.pyfunc.log_model(
            name="echo", python_model=str(script), pip_requirements=["mlflow"]
        )
    client.create_registered_model("echo")
    client.create_model_version("echo", info.model_uri, parent)
    client.set_registered_model_alias("echo", "champion", 1)
    store = PastRuns(client).best_models(1, "1")[0]["model_uri"]
    client.create_registered_model("store")
    artifacts = client.get_run(store.split("/")[1]).info.artifact_uri
    client.create_model_version("store", f"{artifacts}/model", store.split("/")[1])
    client.delete_run(synthetic_training(client, "1", stores=0))
    mlflow.set_tracking_uri(before)
    script.unlink()
    return folder


@pytest.fixture
def saved(source, tmp_path):
    backup(uri_of(source), tmp_path / "backup")
    return tmp_path / "backup"


@pytest.fixture
def use_store():
    before = mlflow.get_tracking_uri()
    yield lambda folder: mlflow.set_tracking_uri(uri_of(folder))
    mlflow.set_tracking_uri(before)


@pytest.mark.parametrize("name", ["nightly", "nightly.tar.gz"])
def test_restored_elsewhere_after_the_old_place_is_gone(source, tmp_path, use_store, name):
    project = tmp_path / "old project"
    restore(uri_of(project), copy_of(source, tmp_path))  # the source itself serves other tests
    held = PastRuns(MlflowClient(tracking_uri=uri_of(project)))
    expected = held.experiments(), held.best_trainings(9), held.best_models(9)
    backup(uri_of(project), tmp_path / name)
    shutil.rmtree(project)

    moved = tmp_path / "another" / "project"
    restored = restore(uri_of(moved), tmp_path / name)
    assert restored.moved_to is None
    client = MlflowClient(tracking_uri=uri_of(moved))
    held = PastRuns(client)
    assert (held.experiments(), held.best_trainings(9), held.best_models(9)) == expected
    use_store(moved)
    for row in expected[2]:
        model = mlflow.artifacts.download_artifacts(row["model_uri"])
        assert "local.cbm" in read_files(Path(model) / "data" / "store_model")
    for uri in ("models:/echo@champion", client.get_model_version("echo", 1).source):
        assert mlflow.pyfunc.load_model(uri).predict(["a"]) == ["a"]
    version = mlflow.artifacts.download_artifacts("models:/store/1", dst_path=tmp_path / "version")
    assert read_files(Path(version) / "data" / "store_model")
    known = addresses(moved)
    assert (moved / "mlruns").as_uri() in known
    for place in (source, project):
        assert str(place) not in known
        assert place.as_uri() not in known
    assert not list(moved.glob(".restore-*"))


def test_folders_whose_names_mean_something_in_an_address(source, tmp_path, use_store):
    """`%20` would be decoded and `?` end the address: another file, and an empty one left over."""
    old, backups, new = (tmp_path / name for name in ("old%20one", "what?now", "a%3Fb?c%"))
    backups.mkdir()
    restore(uri_of(old), copy_of(source, tmp_path))
    restore(uri_of(old), copy_of(source, tmp_path / "what?now"), force=True)
    backup(uri_of(old), backups / "b%31")
    restore(uri_of(new), backups / "b%31")
    assert {file.name for file in backups.iterdir()} == {"copy", "b%31"}
    assert {file.name for file in tmp_path.iterdir()} >= {"old%20one", "what?now", "a%3Fb?c%"}
    assert not {"old one", "what", "a?b", "a"} & {file.name for file in tmp_path.iterdir()}
    client = MlflowClient(tracking_uri=uri_of(new))
    model = PastRuns(client).best_models(1, "1")[0]["model_uri"]
    use_store(new)
    assert (Path(mlflow.artifacts.download_artifacts(model)) / "MLmodel").is_file()


def copy_of(source, tmp_path):
    backup(uri_of(source), tmp_path / "copy")
    return tmp_path / "copy"


def addresses(folder):
    """Everything in the database, but where the training data came from."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return "\n".join(line for line in database.iterdump() if "INTO datasets" not in line)


def test_manifest_names_every_file_and_the_tools(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    found = state(saved)
    del found["manifest.json"]
    assert {name: mark["sha256"] for name, mark in manifest["files"].items()} == found
    assert all(
        (saved / name).stat().st_size == mark["size"] for name, mark in manifest["files"].items()
    )
    assert manifest["tools"]["mlflow"] == mlflow.__version__
    assert manifest["unfinished_runs"] == []


def test_backup_changes_nothing_and_leaves_nothing_behind(source, tmp_path):
    before = state(source)
    backup(uri_of(source), tmp_path / "once.tar.gz")
    assert state(source) == before
    assert [file.name for file in tmp_path.iterdir()] == ["once.tar.gz"]


def test_backup_replaces_nothing(source, saved):
    before = state(saved)
    with pytest.raises(TrackingError, match=f"something at {saved} already; expected a new"):
        backup(uri_of(source), saved)
    assert state(saved) == before


@pytest.mark.parametrize(
    ("target", "message"),
    [("nowhere/backup", "no folder .*nowhere"), ("a.zip", r"a backup named a.zip.*\*.tar.gz")],
)
def test_backup_to_an_impossible_target(source, tmp_path, target, message):
    with pytest.raises(TrackingError, match=message):
        backup(uri_of(source), tmp_path / target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["http://me:secret@127.0.0.1:1", "postgresql://me:secret@db/x"])
def test_other_stores_are_refused_with_what_to_do(uri, tmp_path):
    with pytest.raises(TrackingError, match="pg_dump") as error:
        backup(uri, tmp_path / "backup")
    assert "secret" not in str(error.value)
    with pytest.raises(TrackingError, match="pg_restore"):
        restore(uri, tmp_path)


def test_backup_while_a_training_writes_is_consistent(saved, tmp_path):
    live = uri_of(tmp_path / "live")
    restore(live, saved)
    command = [sys.executable, "-c", WRITER, live]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer:
        for number in range(3):
            assert int(writer.stdout.readline()) == number
        manifest = backup(live, tmp_path / "backup.tar.gz")
        assert writer.poll() is None
        writer.stdout.readline()  # it is still writing
        writer.kill()
    restore(uri_of(tmp_path / "restored"), tmp_path / "backup.tar.gz")
    restored = MlflowClient(tracking_uri=uri_of(tmp_path / "restored"))
    runs = restored.search_runs(["1"])
    finished = [run for run in runs if run.info.status == "FINISHED"]
    written = [run for run in finished if run.data.tags["run_level"] == "store"]
    assert len(written) >= 3 + 2
    for run in written:
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
        assert read_files(folder / "model" / "data" / "store_model")["local.cbm"]
    running = sorted(run.info.run_id for run in runs if run.info.status == "RUNNING")
    assert manifest.unfinished_runs == running
    assert running


def damaged(how, folder):
    """Change a backup in one way."""
    file = next(folder.rglob("local.cbm"))
    manifest = folder / "manifest.json"
    if how == "changed":
        file.write_bytes(file.read_bytes()[:-1] + b"!")
    elif how == "missing":
        file.unlink()
    elif how == "added":
        (file.parent / "more.txt").write_text("")
    elif how == "no manifest":
        manifest.unlink()
    elif how == "newer format":
        manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    elif how == "link":
        file.unlink()
        file.symlink_to(folder / "mlflow.db")
    elif how == "leads out":
        outside = file.rename(folder / "outside.cbm")
        known = json.loads(manifest.read_text())
        known["files"]["../outside.cbm"] = known["files"].pop(str(file.relative_to(folder)))
        manifest.write_text(json.dumps(known))
        outside.unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("changed", r"1 changed, missing or added files in .*local\.cbm"),
        ("missing", r"1 changed, missing or added files in .*local\.cbm"),
        ("added", r"1 changed, missing or added files in .*more\.txt"),
        ("no manifest", "no readable manifest.json"),
        ("newer format", "no readable manifest.json in .*; expected format 1"),
        ("link", "which is no file; expected plain files only"),
        ("leads out", r"'\.\./outside\.cbm' in .*; expected mlflow.db, and names that stay"),
    ],
)
def test_damaged_backup_touches_nothing(source, saved, tmp_path, how, message):
    damaged(how, saved)
    target = tmp_path / "target"
    restore(uri_of(target), copy_of(source, tmp_path))
    with closing(sqlite3.connect(target / "mlflow.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
    before = state(target)
    with pytest.raises(TrackingError, match=message):
        restore(uri_of(target), saved, force=True)
    assert state(target) == before


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "mlruns/../../escaped", "escaped"])
def test_archive_cannot_write_outside(tmp_path, name):
    archive = tmp_path / "hostile.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        member = tarfile.TarInfo(name)
        member.size = 4
        file.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(TrackingError, match="names that stay in mlruns"):
        restore(uri_of(tmp_path / "deep" / "target"), archive)
    assert not list(tmp_path.rglob("escaped*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_archive_may_hold_plain_files_only(tmp_path, kind):
    archive = tmp_path / "hostile.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        member = tarfile.TarInfo("mlruns/link")
        member.type, member.linkname = kind, "/etc/passwd"
        file.addfile(member)
    with pytest.raises(TrackingError, match=r"'mlruns/link' in .*, which is no file"):
        restore(uri_of(tmp_path / "target"), archive)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_archive_that_is_none_or_cut_short(source, tmp_path, content):
    archive = tmp_path / "cut.tar.gz"
    if content is None:
        backup(uri_of(source), archive)
        content = archive.read_bytes()[:-2000]
    archive.write_bytes(content)
    with pytest.raises(TrackingError, match="that cannot be read to its end"):
        restore(uri_of(tmp_path / "target"), archive)
    assert not (tmp_path / "target" / "mlflow.db").exists()


def test_store_with_runs_is_moved_aside_only_when_forced(saved, tmp_path):
    target = tmp_path / "target"
    restore(uri_of(target), saved)
    newer = "ab" * 16
    (target / "mlruns" / newer / "artifacts").mkdir(parents=True)
    (target / "mlruns" / newer / "artifacts" / "note.txt").write_text("newer")
    with closing(sqlite3.connect(target / "mlflow.db")) as database, database:
        address = (target / "mlruns" / newer / "artifacts").as_uri()
        columns = "run_uuid, experiment_id, status, lifecycle_stage, artifact_uri"
        values = [newer, 1, "FINISHED", "active", address]
        database.execute(f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, ?, ?)", values)
    stray = target / "mlruns" / "notes.txt"
    stray.write_text("mine")
    before = state(target)
    with pytest.raises(TrackingError, match=r"a store with .* runs .*--force moves it aside"):
        restore(uri_of(target), saved)
    assert state(target) == before

    moved_to = restore(uri_of(target), saved, force=True).moved_to
    assert moved_to.parent == target
    kept = state(moved_to)
    assert kept.pop("mlflow.db")
    assert kept.items() <= before.items()
    assert before.keys() - kept.keys() == {"mlflow.db", "mlruns/notes.txt"}
    with closing(sqlite3.connect(moved_to / "mlflow.db")) as database:
        assert database.execute("SELECT 1 FROM runs WHERE run_uuid = ?", [newer]).fetchone()
    assert stray.read_text() == "mine"
    with closing(sqlite3.connect(target / "mlflow.db")) as database:
        assert not database.execute("SELECT 1 FROM runs WHERE run_uuid = ?", [newer]).fetchone()


def test_program_that_has_the_old_store_open_sees_the_new_one(source, saved, tmp_path):
    """Without a write-ahead log nothing tells that it is there; it must not go on beside us."""
    target = tmp_path / "target"
    restore(uri_of(target), saved)
    with closing(sqlite3.connect(target / "mlflow.db")) as idle:
        with idle:
            idle.execute("UPDATE runs SET name = 'changed'")
        restore(uri_of(target), saved, force=True)
        assert not idle.execute("SELECT 1 FROM runs WHERE name = 'changed'").fetchone()


def test_artifacts_on_another_disk_by_a_link(saved, tmp_path):
    folders = []
    for name in ("one", "two"):
        target, disk = tmp_path / name, tmp_path / f"disk {name}"
        target.mkdir()
        disk.mkdir()
        (target / "mlruns").symlink_to(disk)
        restore(uri_of(target), saved)
        assert (target / "mlruns").is_symlink()
        again = tmp_path / f"backup of {name}"
        backup(uri_of(target), again)
        folders.append(sorted(str(path.relative_to(again)) for path in again.rglob("*")))
        saved = again
    assert folders[0] == folders[1]
    assert restore(uri_of(target), saved, force=True).moved_to is not None


def test_store_in_use_is_not_replaced(saved, tmp_path):
    target = tmp_path / "target"
    restore(uri_of(target), saved)
    with closing(sqlite3.connect(target / "mlflow.db")) as reader:
        reader.execute("PRAGMA journal_mode = WAL")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        with pytest.raises(TrackingError, match=r"that is in use .*End the runs and the MLflow UI"):
            restore(uri_of(target), saved, force=True)


def test_artifacts_elsewhere_are_not_copied(saved, tmp_path):
    target = tmp_path / "target"
    restore(uri_of(target), saved)
    with closing(sqlite3.connect(target / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET artifact_uri = 'file:///etc'")
    with pytest.raises(TrackingError, match=r"artifacts of .* at file:///etc; expected its own"):
        backup(uri_of(target), tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_backup_with_a_hostile_database_is_not_put_back(saved, tmp_path):
    with closing(sqlite3.connect(saved / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET artifact_uri = '/etc/artifacts' WHERE name = 'Training'")
    content = (saved / "mlflow.db").read_bytes()
    manifest = json.loads((saved / "manifest.json").read_text())
    mark = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    manifest["files"]["mlflow.db"] = mark
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TrackingError, match=r"artifacts of .* at '/etc/artifacts' in the database"):
        restore(uri_of(tmp_path / "target"), saved)
    assert not (tmp_path / "target" / "mlflow.db").exists()


@pytest.mark.parametrize("name", ["backup", "backup.tar.gz"])
def test_full_disk_leaves_no_backup(source, tmp_path, monkeypatch, name):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(TrackingError, match=r"cannot be written \(.*No space left on device"):
        backup(uri_of(source), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_back_up_or_restore(tmp_path):
    with pytest.raises(TrackingError, match="Run `kedro run` first"):
        backup(uri_of(tmp_path), tmp_path / "backup")
    with pytest.raises(TrackingError, match="no backup at "):
        restore(uri_of(tmp_path), tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


def test_damaged_database_is_not_backed_up(saved, tmp_path):
    content = bytearray((saved / "mlflow.db").read_bytes())
    content[40_960:81_920] = bytes(40_960)
    (tmp_path / "mlflow.db").write_bytes(content)
    with pytest.raises(TrackingError, match=r"a database .* that cannot be copied \("):
        backup(uri_of(tmp_path), tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_restored_frames_are_those_of_the_source(source, saved, tmp_path, use_store):
    """MLflow's own table of all runs, metrics, params and tags is the same."""
    restore(uri_of(tmp_path / "target"), saved)
    tables = []
    for folder in (source, tmp_path / "target"):
        use_store(folder)
        tables.append(mlflow.search_runs(["1", "2"]).drop(columns="artifact_uri"))
    pd.testing.assert_frame_equal(*tables)
