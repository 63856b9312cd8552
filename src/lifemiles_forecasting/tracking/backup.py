"""A backup of the tracking store, taken while runs go on: its database and their artifacts."""

from __future__ import annotations

import sqlite3
import tarfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from tempfile import SpooledTemporaryFile, TemporaryDirectory
from typing import Protocol

from tqdm import tqdm

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.artifacts import (
    folder_files,
    relative_folder,
)
from lifemiles_forecasting.tracking.database import (
    check_database,
    fold_log,
    snapshot,
    sqlite_file,
    transaction,
)
from lifemiles_forecasting.tracking.inventory import (
    UNFINISHED,
    Inventory,
    read_inventory,
)
from lifemiles_forecasting.tracking.manifest import (
    ARTIFACTS_ROOT,
    DATABASE,
    MANIFEST,
    FileMark,
    Manifest,
    MarkingReader,
    copy_marked,
)
from lifemiles_forecasting.tracking.store import sqlite_uri, without_credentials

ENDING = ".tar.gz"
_OTHER_ENDINGS = {".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z"}
_HINT = (
    "Back up a database with its own tool, such as pg_dump, and then the artifact store with its "
    "own copy, in this order; for a tracking server do so where it runs"
)
_IN_MEMORY_BYTES = 16_000_000
_COMPRESSION = 1  # the fastest: a nightly job has to be done by morning


class Writer(Protocol):
    """Where the files of a backup go."""

    def add(self, name: str, source: Path) -> FileMark:
        """Copy a file, and return the mark of what was written."""

    def close(self) -> None:
        """Nothing more is added."""


class FolderWriter:
    """A backup as a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def add(self, name: str, source: Path) -> FileMark:
        """Copy a file into the folder."""
        with source.open("rb") as content:
            return copy_marked(content, self._folder / name)

    def close(self) -> None:
        """Everything is in place."""


class ArchiveWriter:
    """A backup as a compressed archive."""

    def __init__(self, file: Path) -> None:
        self._archive = tarfile.open(file, "x:gz", compresslevel=_COMPRESSION)  # noqa: SIM115

    def add(self, name: str, source: Path) -> FileMark:
        """Copy a file into the archive; its size must be known first, so it is read ahead."""
        with source.open("rb") as content, SpooledTemporaryFile(_IN_MEMORY_BYTES) as spool:
            reader = MarkingReader(content)
            while block := reader.read(1 << 20):
                spool.write(block)
            spool.seek(0)
            member = tarfile.TarInfo(name)
            member.size, member.mtime = reader.mark.size, int(time.time())
            self._archive.addfile(member, spool)
            return reader.mark

    def close(self) -> None:
        """Write the end of the archive."""
        self._archive.close()


@dataclass(frozen=True)
class Source:
    """The folder of a run or a logged model, its name in the backup, and the run's id."""

    folder: Path
    name: str
    run_id: str | None


def backup(uri: str, target: Path) -> Manifest:
    """Copy the database as it is at one moment, then the artifacts of the runs that are in it.

    A run that had finished by then had written all its artifacts before, so they are whole. Runs
    that were going on are named in the manifest. What is begun later is not part of it.

    Args:
        uri: the absolute tracking URI of a SQLite file.
        target: a new folder, or a new file whose name ends in `.tar.gz`; its folder must exist.

    Returns:
        What is in the backup.

    Raises:
        TrackingError: the store is of another kind or empty, the target is there already or cannot
            be written, or artifacts are not where MLflow puts them. Then there is no backup at all.
    """
    path = sqlite_file(uri, _HINT)
    check_database(uri, _HINT)
    check_target(target)
    try:
        with TemporaryDirectory(prefix=".backup-", dir=target.parent) as folder:
            aside = Path(folder)
            make = ArchiveWriter if target.name.endswith(ENDING) else FolderWriter
            with closing(make(aside / "backup")) as writer:
                manifest = _write(writer, path, aside)
            (aside / "backup").rename(target)
    except OSError as error:
        raise TrackingError(
            f"a backup that cannot be written ({error})",
            "room, and the right to write",
            "What was written of it has been removed",
        ) from error
    return manifest


def check_target(target: Path) -> None:
    """Make sure that a backup can be made here and replaces nothing.

    Raises:
        TrackingError: it cannot.
    """
    if target.exists() or target.is_symlink():
        raise TrackingError(
            f"something at {target} already", "a new folder or file", "Put the date into its name"
        )
    if not target.parent.is_dir():
        raise TrackingError(f"no folder {target.parent}", "it to be there", "Is its disk there?")
    if target.suffix in _OTHER_ENDINGS and not target.name.endswith(ENDING):
        raise TrackingError(f"a backup named {target.name}", f"a folder, or a file *{ENDING}")


def _write(writer: Writer, path: Path, aside: Path) -> Manifest:
    copy = aside / DATABASE
    created = datetime.now(UTC).isoformat(timespec="seconds")
    snapshot(path, copy)
    with transaction(sqlite_uri(copy)) as connection:
        held = read_inventory(connection)
    fold_log(copy)
    locations = _locations(held, path.parent.resolve())
    unfinished = {run.run_id for run in held.runs if run.status in UNFINISHED}
    files = {DATABASE: writer.add(DATABASE, copy)}
    for source in tqdm(_sources(held, locations), "Copying", unit="run", disable=None):
        files |= _copy(writer, source, may_change=source.run_id in unfinished)
    manifest = Manifest(
        created=created,
        source=sqlite_uri(path),
        tools={
            **{name: version(name) for name in ("lifemiles-forecasting", "mlflow")},
            "python": python_version(),
            "sqlite": sqlite3.sqlite_version,
        },
        locations=locations,
        unfinished_runs=sorted(unfinished),
        files=files,
    )
    (aside / MANIFEST).write_bytes(manifest.as_json())
    writer.add(MANIFEST, aside / MANIFEST)
    return manifest


def _copy(writer: Writer, source: Source, may_change: bool) -> dict[str, FileMark]:
    """Copy the artifacts of a run or a logged model.

    Raises:
        TrackingError: there is a symbolic link, or a file vanishes that should not change.
    """
    marks = {}
    for file in folder_files(source.folder):
        if file.is_symlink():
            raise TrackingError(f"a symbolic link {file}", "artifacts to be plain files")
        name = f"{source.name}/{file.relative_to(source.folder).as_posix()}"
        try:
            marks[name] = writer.add(name, file)
        except FileNotFoundError:
            if not may_change:
                raise TrackingError(
                    f"no {file} any more, of a run that had ended",
                    "nobody to delete runs while they are copied",
                    "Back up again",
                ) from None
    return marks


def _locations(held: Inventory, base: Path) -> dict[str, str]:
    """Where the artifacts of each experiment go: below `mlruns`, and as they are if they are."""
    root = (base / ARTIFACTS_ROOT).resolve()  # it may be a link to a larger disk
    below = {
        number: folder.relative_to(root) if folder.is_relative_to(root) else Path(str(number))
        for number, folder in held.places.items()
    }
    return {str(number): (ARTIFACTS_ROOT / place).as_posix() for number, place in below.items()}


def _sources(held: Inventory, locations: Mapping[str, str]) -> list[Source]:
    """What is to be copied.

    Raises:
        TrackingError: artifacts are elsewhere, so that a backup would not hold them.
    """
    sources = []
    for row in held.owners():
        folder = held.folder(row)
        if folder is None:
            location = held.experiments[row.experiment_id].location
            raise TrackingError(
                f"artifacts of {row.key} at {without_credentials(str(row.artifact_uri))}",
                f"its own folder in {without_credentials(location)}, on this machine",
                _HINT,
            )
        name = locations[str(row.experiment_id)] / relative_folder(row.key)
        sources.append(Source(folder, name.as_posix(), row.run_id))
    return sources
