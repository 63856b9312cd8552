"""Tables of a new tracking store: made by one process at a time, and never left half made."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.store import has_content, sqlite_path

PATIENCE_SECONDS = 120.0  # MLflow needs about five for the tables of a new database


@contextmanager
def one_at_a_time(uri: str, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold a SQLite store while its tables and experiment are looked for, and made if missing.

    MLflow migrates a new database without a lock: of two processes, one would find half of it.
    Nor does it go on where it was killed, or found no room: what it has left is removed then. A
    server makes its own tables before it answers.

    Args:
        uri: the absolute tracking URI; any other than SQLite's is not held.
        patience: seconds to wait for another process.

    Raises:
        TrackingError: another process holds it for longer, or its lock cannot be opened.
    """
    path = sqlite_path(uri)
    if path is None:
        yield
        return
    try:
        held = FileLock(f"{path}.lock").acquire(timeout=patience)
    except Timeout:
        raise TrackingError(
            f"another process that has been preparing {path} for {patience:.0f} seconds",
            "one that is done within a few seconds",
            "Look for a process that hangs, and end it",
        ) from None
    except OSError as error:
        raise TrackingError(
            f"a lock {path}.lock that cannot be opened ({error.strerror or error})",
            "the right to write it, and room",
            "Run as the user who made it, or remove it when nobody uses the store",
        ) from error
    with held:
        making = path.with_name(f"{path.name}.making")
        if making.exists() and not _has_runs(path):
            for name in ("", "-wal", "-shm"):
                path.with_name(f"{path.name}{name}").unlink(missing_ok=True)
        if not has_content(uri):
            making.touch()
        yield
        making.unlink(missing_ok=True)  # not after an error, so that the next process knows


def _has_runs(path: Path) -> bool:
    """Whether there is, or may be, a run: only a table that is missing or empty says that not."""
    with closing(sqlite3.connect(path)) as database:
        try:
            return database.execute("SELECT 1 FROM runs").fetchone() is not None
        except sqlite3.DatabaseError as error:  # locked or damaged: it may hold what is dear
            return "no such table" not in str(error)
