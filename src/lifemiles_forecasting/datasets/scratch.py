"""Folders for copies of raw rows, which nothing outlives: not even a run that is killed."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import weakref
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "lifemiles_transactions_"


class Scratch:
    """A folder that goes with its owner; what killed runs have left beside it goes first.

    Rows with member numbers are in such folders. A lock that the system releases when a process
    ends, however it ends, tells whose owner still lives.

    Args:
        parent: where to; None for the folder for temporary files.

    Attributes:
        path: the folder, for its owner's eyes only.
    """

    def __init__(self, parent: str | Path | None = None) -> None:
        folder = Path(parent or tempfile.gettempdir())
        _remove_abandoned(folder)
        self.path = folder / f"{PREFIX}{uuid.uuid4().hex}"
        lock = _lock_of(self.path)
        lock.acquire()
        self.path.mkdir(mode=0o700)
        weakref.finalize(self, _remove, self.path, lock)


def _lock_of(path: Path) -> FileLock:
    return FileLock(path.with_suffix(".lock"))


def _remove(path: Path, lock: FileLock) -> None:
    shutil.rmtree(path, ignore_errors=True)
    lock.release()
    with suppress(OSError):
        Path(lock.lock_file).unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    for path in folder.glob(f"{PREFIX}*/"):
        lock = _lock_of(path)
        # held by a run that goes on, or another user's
        with suppress(Timeout, OSError):
            lock.acquire(timeout=0)
            _remove(path, lock)
