"""A full disk, told as one clear error by whichever library meets it."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lifemiles_forecasting.core.errors import FullDiskError, causes

_NUMBERS = (errno.ENOSPC, errno.EDQUOT)
# DuckDB, SQLite within MLflow, and Arrow raise errors of their own
_WORDS = ("No space left on device", "database or disk is full", "Disk quota exceeded")


def full_disk(error: BaseException, folders: Iterable[Path]) -> FullDiskError | None:
    """Whether an error comes from a disk without room.

    Args:
        error: what stopped the run.
        folders: that the run writes to, beside that for temporary files.

    Returns:
        What to say instead; nothing for any other error.
    """
    if not any(map(_is_full, causes(error))):
        return None
    known = sorted({_there(folder) for folder in (*folders, Path(tempfile.gettempdir()))})
    room = ", ".join(f"{folder}: {shutil.disk_usage(folder).free:,} bytes" for folder in known)
    return FullDiskError(
        f"a full disk while writing; free are: {room}",
        "room for what the run writes",
        "Make room and start it again: what was fitted is kept. Files of earlier runs are as they "
        "were, but for those that this one had finished",
    )


def _there(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return True
    return any(words in str(error) for words in _WORDS)
