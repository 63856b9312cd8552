"""A backup of the tracking store put back, in its old place or in another one."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from mlflow.utils.file_utils import local_file_uri_to_path
from tqdm import tqdm

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.artifacts import folder_files, is_remote
from lifemiles_forecasting.tracking.database import fold_log, snapshot, sqlite_file, transaction
from lifemiles_forecasting.tracking.inventory import read_inventory
from lifemiles_forecasting.tracking.manifest import (
    ARTIFACTS_ROOT,
    DATABASE,
    MANIFEST,
    FileMark,
    Manifest,
    check_name,
    copy_marked,
)
from lifemiles_forecasting.tracking.store import has_content, probe, sqlite_uri

_HINT = (
    "Restore a database with its own tool, such as pg_restore, and the artifact store with its own "
    "copy"
)
_UNREADABLE = (tarfile.TarError, EOFError, zlib.error, OSError)
# every column of MLflow's tables that holds the address of an artifact
_ADDRESSES = (
    "UPDATE experiments SET artifact_location = here(artifact_location)",
    "UPDATE runs SET artifact_uri = here(artifact_uri)",
    "UPDATE logged_models SET artifact_location = here(artifact_location)",
    "UPDATE model_versions SET source = here(source), storage_location = here(storage_location)",
    "UPDATE trace_tags SET value = here(value) WHERE key = 'mlflow.artifactLocation'",
)


@dataclass(frozen=True)
class Restored:
    """What was put back.

    Attributes:
        manifest: of the backup.
        moved_to: folder that what was there before is in now; nothing when there was nothing.
    """

    manifest: Manifest
    moved_to: Path | None


def restore(uri: str, source: Path, force: bool = False) -> Restored:
    """Check a backup to the last byte beside the store, point it here, and only then swap.

    Args:
        uri: the absolute tracking URI of a SQLite file, which may be elsewhere than it was.
        source: a backup, a folder or an archive.
        force: put it in place of a store that has runs; that one is moved aside.

    Raises:
        TrackingError: the backup is damaged or would write elsewhere, the store has runs, is in
            use or of another kind, or there is no room for it. Then nothing was changed.
    """
    path = sqlite_file(uri, _HINT)
    probe(uri)
    if not source.exists():
        raise TrackingError(f"no backup at {source}", "a folder or an archive")
    if has_content(uri):
        _check_replaceable(path, force)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".restore-", dir=path.parent) as folder:
        stage = Path(folder)
        manifest = _stage(source, stage)
        places = _point_here(stage / DATABASE, manifest, path.parent.resolve(), source)
        moved_to = _swap(stage, path, places)
    return Restored(manifest, moved_to)


def _check_replaceable(path: Path, force: bool) -> None:
    with closing(sqlite3.connect(path)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        runs = (
            database.execute("SELECT count(*) FROM runs").fetchone()[0] if "runs" in tables else 0
        )
    if runs and not force:
        raise TrackingError(
            f"a store with {runs} runs at {path}",
            "a store without runs",
            "--force moves it aside and puts the backup in its place",
        )


def _stage(source: Path, stage: Path) -> Manifest:
    """Copy a backup, checking what is copied.

    Raises:
        TrackingError: it is damaged, or not a backup of ours.
    """
    found: dict[str, FileMark] = {}
    content = b""
    members = _members_of_folder(source) if source.is_dir() else _members_of_archive(source)
    try:
        for name, file in tqdm(members, "Checking", unit="file", disable=None):
            if name == MANIFEST:
                content = file.read()
                continue
            check_name(name, source)
            found[name] = copy_marked(file, stage / name)
    except _UNREADABLE as error:
        raise TrackingError(
            f"a backup {source} that cannot be read to its end ({error})",
            "what `kedro tracking backup` made, and room to unpack it",
        ) from None
    manifest = Manifest.from_json(content, source)
    manifest.check(found, source)
    return manifest


def _members_of_folder(source: Path) -> Iterator[tuple[str, BinaryIO]]:
    for file in folder_files(source):
        name = file.relative_to(source).as_posix()
        _refuse_unless(not file.is_symlink() and file.is_file(), name, source)
        with file.open("rb") as content:
            yield name, content


def _members_of_archive(source: Path) -> Iterator[tuple[str, BinaryIO]]:
    with tarfile.open(source, "r:gz") as archive:
        for member in archive:
            _refuse_unless(member.isreg(), member.name, source)
            content = archive.extractfile(member)
            if content is not None:
                yield member.name, content


def _refuse_unless(plain: bool, name: str, source: Path) -> None:
    if not plain:
        raise TrackingError(f"{name!r} in {source}, which is no file", "plain files only")


def _point_here(database: Path, manifest: Manifest, base: Path, source: Path) -> list[Path]:
    """Rewrite the addresses of artifacts for their new place.

    Args:
        database: of the backup, in its staging folder.
        manifest: of the backup.
        base: the folder that the store will be in.
        source: the backup, for the message.

    Returns:
        Folders of runs and logged models, below `mlruns`; some may not exist.

    Raises:
        TrackingError: an address leads elsewhere after that.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        locations = connection.execute("SELECT experiment_id, artifact_location FROM experiments")
        moves = _moves(dict(locations.fetchall()), manifest, base)
        connection.create_function("here", 1, lambda address: _moved(address, moves))
        for statement in _ADDRESSES:
            connection.execute(statement)
    with transaction(sqlite_uri(database)) as connection:
        held = read_inventory(connection)
    fold_log(database)
    places = []
    for row in held.owners():
        place = _below(base, held.folder(row))
        if place is None:
            raise TrackingError(
                f"artifacts of {row.key} at {row.artifact_uri!r} in the database of {source}",
                "its folder in the artifact location of its experiment",
                "Take another backup",
            )
        places.append(place)
    return places


def _below(base: Path, folder: Path | None) -> Path | None:
    """A folder as seen from the database, if it lies in `mlruns`, which may be a link itself."""
    root = (base / ARTIFACTS_ROOT).resolve()
    if folder is None or not folder.is_relative_to(root):
        return None
    return ARTIFACTS_ROOT / folder.relative_to(root)


def _moves(locations: dict[int, str], manifest: Manifest, base: Path) -> dict[str, str]:
    """Old address of every experiment's artifacts, as a URI and as a path -> new address."""
    moves = {}
    for experiment_id, location in locations.items():
        folder = manifest.locations.get(str(experiment_id))
        if folder is None or is_remote(location):
            continue
        here = (base / folder).as_uri()
        path = Path(local_file_uri_to_path(location)).absolute()
        moves |= {location.rstrip("/"): here, str(path): here, path.as_uri(): here}
    return dict(sorted(moves.items(), key=lambda move: len(move[0]), reverse=True))


def _moved(address: str | None, moves: dict[str, str]) -> str | None:
    """An address in its new place: by the longest old one that it lies in, if it lies in any."""
    for old, new in moves.items():
        if address is not None and (address == old or address.startswith(f"{old}/")):
            return new + address[len(old) :]
    return address


def _swap(stage: Path, path: Path, places: list[Path]) -> Path | None:
    """Put the staged store in place, and what is there now aside. The database comes last.

    A database that is there already gets the new content, in one transaction: a program that had
    it open would go on with a file that is moved away.
    """
    base = path.parent
    aside = base / f"{path.stem}-before-restore-{datetime.now().astimezone():%Y%m%d_%H%M%S_%f}"
    incoming = [place for place in places if (stage / place).exists()]
    outgoing = {*_folders_now(path), *(place for place in incoming if (base / place).exists())}
    replaces = path.exists()
    with _all_or_nothing(aside) as move:
        if replaces:  # before anything is moved: there may be no room for it
            aside.mkdir()
            snapshot(path, aside / path.name)
        for place in sorted(outgoing):
            move(base / place, aside / place)
        for place in incoming:
            move(stage / place, base / place)
        if replaces:
            snapshot(stage / DATABASE, path)
        else:
            move(stage / DATABASE, path)
    return aside if aside.exists() else None


@contextmanager
def _all_or_nothing(aside: Path) -> Iterator[Callable[[Path, Path], None]]:
    """Gives a function that moves a folder; what it has moved goes back if an error follows.

    Args:
        aside: new folder that is removed then.

    Raises:
        TrackingError: something cannot be moved.
    """
    moved: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        moved.append((source, target))
        _move(source, target)

    try:
        yield move
    except BaseException as error:
        _move_back(moved, aside)
        if not isinstance(error, OSError):
            raise
        raise TrackingError(
            f"a backup that cannot be put in place ({error})",
            "room, and the right to write",
            "Everything is as it was",
        ) from error


def _move_back(moved: list[tuple[Path, Path]], aside: Path) -> None:
    try:
        for source, target in reversed(moved):
            if target.exists() and source.exists():  # on another disk, and not removed in full
                shutil.copytree(target, source, symlinks=True, dirs_exist_ok=True)
            elif target.exists():
                _move(target, source)
    except OSError as error:
        raise TrackingError(
            f"artifacts that can be moved neither on nor back ({error})",
            "room, and the right to write",
            f"The database is as it was; move what is in {aside} to {aside.parent} by hand",
        ) from error
    shutil.rmtree(aside, ignore_errors=True)  # its folders are empty now


def _folders_now(path: Path) -> list[Path]:
    """Folders of the store that is there now, relative to its database; those elsewhere stay."""
    if not path.exists() or path.stat().st_size == 0:
        return []
    fold_log(path)
    with transaction(sqlite_uri(path)) as connection:
        held = read_inventory(connection)
    fold_log(path)
    base = path.parent.resolve()
    places = (_below(base, held.folder(row)) for row in held.owners())
    return [place for place in places if place is not None and (base / place).exists()]


def _move(source: Path, target: Path) -> None:
    """Move a file or folder; what is at its new place is whole, also after an error.

    Raises:
        OSError: it cannot be moved.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = target.with_name(f".{target.name}.part")
        try:
            shutil.copytree(source, part, symlinks=True)
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(source)
