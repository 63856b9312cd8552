"""The first use of a new SQLite store."""

import errno
import os
import sqlite3
from contextlib import closing

import pytest
from filelock import FileLock

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.first_use import one_at_a_time


@pytest.fixture
def database(tmp_path):
    return tmp_path / "mlflow.db"


def make(database, *statements):
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def first_use(database, *statements):
    with one_at_a_time(f"sqlite:///{database}"):
        make(database, *statements)


@pytest.mark.parametrize("statement", ["CREATE TABLE experiments (id)", "CREATE TABLE runs (id)"])
def test_tables_that_were_left_half_made_are_made_anew(database, statement):
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        first_use(database, statement, "DROP TABLE others")
    assert database.stat().st_size
    first_use(database, statement)  # else it is there already
    first_use(database, "CREATE TABLE others (id)")
    assert not list(database.parent.glob("*.making"))


def test_a_store_with_runs_is_never_removed(database):
    make(database, "CREATE TABLE runs (id)", "INSERT INTO runs VALUES (1)")
    database.with_name("mlflow.db.making").touch()
    first_use(database, "INSERT INTO runs VALUES (2)")
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (2,)


@pytest.mark.parametrize("locking", [True, False])
def test_a_store_that_cannot_be_looked_into_is_never_removed(database, locking, monkeypatch):
    """Locked by another program, or damaged."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path: connect(path, timeout=0.1))
    make(database, "CREATE TABLE runs (id)", "INSERT INTO runs VALUES (1)")
    if not locking:
        database.write_bytes(b"no database " * 1_000)
    before = database.read_bytes()
    database.with_name("mlflow.db.making").touch()
    with closing(connect(database, isolation_level=None)) as other:
        if locking:
            other.execute("BEGIN EXCLUSIVE")
        with one_at_a_time(f"sqlite:///{database}"):
            assert database.read_bytes() == before


def test_an_error_in_a_store_that_was_there_leaves_it(database):
    first_use(database, "CREATE TABLE runs (id)")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        first_use(database, "DROP TABLE others")
    first_use(database, "INSERT INTO runs VALUES (1)")


def test_a_process_that_holds_it_for_too_long_is_named(database):
    with FileLock(f"{database}.lock"):
        message = "another process that has been preparing .*mlflow.db for 0 seconds"
        with pytest.raises(TrackingError, match=message), one_at_a_time(f"sqlite:///{database}", 0):
            pass


def test_lock_of_another_user_is_one_clear_error(database, monkeypatch):
    def refused(path, *_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(os, "open", refused)
    message = rf"found a lock {database}.lock that cannot be opened \(Permission denied\)"
    with pytest.raises(TrackingError, match=message), one_at_a_time(f"sqlite:///{database}"):
        pass


def test_other_stores_are_not_held(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with one_at_a_time("https://mlflow.example"), one_at_a_time("https://mlflow.example"):
        assert list(tmp_path.iterdir()) == []
