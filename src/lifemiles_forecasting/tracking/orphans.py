"""Artifact folders that belong to no run, as an interrupted deletion leaves them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.artifacts import candidate_folders
from lifemiles_forecasting.tracking.database import transaction
from lifemiles_forecasting.tracking.inventory import read_inventory
from lifemiles_forecasting.tracking.store import sqlite_path

_EXPECTED = "to know which artifact folders are its own"
_HINT = "Mend or move it, or leave folders of no run alone with --keep-orphans"
_SQLITE_HEADER = b"SQLite format 3\0"


def folders_of_nobody(uri: str) -> list[Path]:
    """Folders that look like a run's or a logged model's, and that no database knows as its own.

    The folders are listed before the database is read: a run has its row before its folder, so
    one that starts meanwhile is not taken for lost.

    Args:
        uri: the absolute tracking URI of a SQLite file or a PostgreSQL database.

    Raises:
        TrackingError: a file or folder beside this database cannot be read, so what is whose is
            not known.
    """
    try:
        return _folders_of_nobody(uri)
    except OSError as error:
        raise TrackingError(
            f"{error.filename} that cannot be read ({error.strerror})", _EXPECTED, _HINT
        ) from error


def _folders_of_nobody(uri: str) -> list[Path]:
    with transaction(uri) as connection:
        locations = sorted(set(read_inventory(connection).places.values()))
    found = [folder for location in locations for folder in candidate_folders(location)]
    with transaction(uri) as connection:
        known = read_inventory(connection).keys()
    lost = [folder for folder in found if folder.name not in known]
    if not lost:
        return []
    elsewhere = _known_to_neighbours(sqlite_path(uri), {location.parent for location in locations})
    return [folder for folder in lost if folder.name not in elsewhere]


def _known_to_neighbours(own: Path | None, folders: Collection[Path]) -> set[str]:
    """Ids in other tracking databases that lie beside the artifacts, and so share the folder.

    Raises:
        TrackingError: a neighbour cannot be read, so what is whose is not known.
    """
    known: set[str] = set()
    there = [folder for folder in folders if folder.is_dir()]
    for file in (file for folder in there for file in sorted(folder.iterdir())):
        if file.is_file() and not (own and file.samefile(own)) and _is_sqlite(file):
            known |= _ids_in(file)
    return known


def _is_sqlite(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(len(_SQLITE_HEADER)) == _SQLITE_HEADER


def _ids_in(file: Path) -> set[str]:
    try:
        with closing(sqlite3.connect(file)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            if not {"runs", "logged_models"} <= tables:
                return set()
            union = "SELECT run_uuid FROM runs UNION ALL SELECT model_id FROM logged_models"
            return {key for (key,) in database.execute(union)}
    except sqlite3.DatabaseError as error:
        raise TrackingError(
            f"a database {file} that cannot be read ({error})", _EXPECTED, _HINT
        ) from None
