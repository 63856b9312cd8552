"""Two processes that use a new tracking store at once make its tables one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.store import sqlite_path

PATIENCE_SECONDS = 120.0  # MLflow needs about five for the tables of a new database


@contextmanager
def one_at_a_time(uri: str, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold a SQLite store while its tables and experiment are looked for, and made if missing.

    MLflow migrates a new database without a lock: of two processes, one would find half of it.
    A server makes its own tables before it answers.

    Args:
        uri: the absolute tracking URI; any other than SQLite's is not held.
        patience: seconds to wait for another process.

    Raises:
        TrackingError: another process holds it for longer.
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
    with held:
        yield
