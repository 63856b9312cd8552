"""The database behind the tracking store, for the housekeeping that MLflow's client cannot do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.store import (
    has_content,
    probe,
    sqlite_path,
    without_credentials,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_PATIENCE_SECONDS = 30.0
_GROWING = "tags, params, metrics, latest_metrics, inputs, datasets, runs"
# a run may not start, and a version not be promoted, between the choice and the deletion
_POSTGRESQL_LOCK = (
    "LOCK TABLE runs, model_versions, registered_model_aliases, registered_model_tags "
    "IN SHARE ROW EXCLUSIVE MODE"
)


def sqlite_file(uri: str, hint: str) -> Path:
    """The file of a SQLite tracking store.

    Args:
        uri: the absolute tracking URI.
        hint: what to do with any other kind of store.

    Raises:
        TrackingError: the store is a server or another kind of database.
    """
    path = sqlite_path(uri)
    if path is None:
        raise TrackingError(
            f"a tracking store at {without_credentials(uri)}",
            "a SQLite file (sqlite:///FILE)",
            hint,
        )
    return path


def check_database(uri: str, hint: str) -> None:
    """Make sure that there is a database that can be asked directly, with something in it.

    Args:
        uri: the absolute tracking URI.
        hint: what to do with a store that is no such database.

    Raises:
        TrackingError: the store is a server or another kind of database, does not answer, or
            nothing has been tracked yet.
    """
    if sqlite_path(uri) is None and not uri.startswith("postgresql"):
        raise TrackingError(
            f"a tracking store at {without_credentials(uri)}",
            "a SQLite file or a PostgreSQL database",
            hint,
        )
    probe(uri)
    if not has_content(uri):
        raise TrackingError(
            f"nothing at {without_credentials(uri)}", "a store with runs", "Run `kedro run` first"
        )


@contextmanager
def transaction(uri: str, write: bool = False) -> Iterator[Connection]:
    """One transaction that sees one state of the database; rolled back on any error.

    Args:
        uri: the absolute tracking URI of a SQLite file or a PostgreSQL database.
        write: take the right to write at once, so that nobody changes what a decision was made on.

    Raises:
        TrackingError: the database is busy, refuses, or has other tables than expected.
    """
    from sqlalchemy.exc import SQLAlchemyError

    engine = _engine(uri, write)
    try:
        with engine.begin() as connection:
            if write and engine.dialect.name == "postgresql":
                connection.exec_driver_sql(_POSTGRESQL_LOCK)
            yield connection
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        raise TrackingError(
            f"a database at {without_credentials(uri)} that answers: {reason}",
            "the tables of the installed MLflow, free for this command",
            "Nothing was changed. Try again when no run is writing; after an update of MLflow, "
            "`mlflow db upgrade` first",
        ) from error
    finally:
        engine.dispose()


def _engine(uri: str, write: bool) -> Engine:
    from sqlalchemy import create_engine, event

    if sqlite_path(uri) is None:
        return _postgresql_engine(uri, "READ COMMITTED" if write else "REPEATABLE READ")
    engine = create_engine(uri)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins too late, and never for a read
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_SECONDS * 1000:.0f}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql_engine(uri: str, isolation_level: str) -> Engine:
    from sqlalchemy import create_engine

    try:
        return create_engine(uri, isolation_level=isolation_level)
    except ImportError as error:
        raise TrackingError(
            f"no driver for {without_credentials(uri)} ({error})",
            "the Python module that MLflow uses as well",
            "Install psycopg, or name another one (postgresql+psycopg2://...)",
        ) from None


def database_bytes(uri: str) -> int:
    """Bytes that the database takes on disk, its write-ahead log included."""
    path = sqlite_path(uri)
    if path is not None:
        files = (path, path.with_name(f"{path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())
    with transaction(uri) as connection:
        return connection.exec_driver_sql(
            "SELECT pg_database_size(current_database())"
        ).scalar_one()


def snapshot(source: Path, target: Path) -> None:
    """Copy a SQLite database as it is at one moment, while others go on writing.

    Args:
        source: the database; it may have a write-ahead log.
        target: the copy, one file without a log; a database that is there is replaced.

    Raises:
        TrackingError: the database is damaged, or there is no room for the copy.
    """
    # opened for writing, though nothing is written: a reader leaves the log's files behind
    try:
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            problem = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        problem = str(error)
    if problem != "ok":
        raise TrackingError(
            f"a database {source} that cannot be copied ({problem})",
            "a sound SQLite database, and room for the copy",
        )


def fold_log(path: Path) -> None:
    """Put a SQLite database into its one file, without a write-ahead log.

    Args:
        path: the database.

    Raises:
        TrackingError: another program has it open.
    """
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        raise TrackingError(
            f"a database {path} that is in use ({error})",
            "nobody else to have it open",
            "End the runs and the MLflow UI that use it",
        ) from None


def give_pages_back(uri: str) -> str:
    """Let the database shrink to what it holds.

    SQLite is written anew without its free pages. PostgreSQL keeps the files and uses the space
    again; only `VACUUM FULL`, which locks everything, would return it.

    Args:
        uri: the absolute tracking URI.

    Returns:
        Why it could not be done now; nothing when it was.
    """
    path = sqlite_path(uri)
    if path is not None:
        return _vacuum(path)
    engine = _postgresql_engine(uri, "AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"VACUUM (ANALYZE) {_GROWING}")
    engine.dispose()
    return "PostgreSQL keeps the room for new rows"


def _vacuum(path: Path) -> str:
    with closing(
        sqlite3.connect(path, timeout=_PATIENCE_SECONDS, isolation_level=None)
    ) as database:
        try:
            database.execute("VACUUM")
            # with a log, the file is cut only when the log has been written back into it
            busy = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError as error:  # busy, or no room on the disk for the copy
            return str(error)
    return "another program is reading it" if busy else ""
