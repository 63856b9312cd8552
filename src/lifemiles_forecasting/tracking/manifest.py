"""What a backup of the tracking store says about itself, and whether its files are still so."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from lifemiles_forecasting.core.errors import TrackingError

MANIFEST = "manifest.json"
DATABASE = "mlflow.db"
ARTIFACTS_ROOT = "mlruns"
FORMAT = 1
_HINT = "Take another backup: this one has been damaged or changed"


@dataclass(frozen=True)
class FileMark:
    """What a file is known by: its checksum, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What is in a backup.

    Attributes:
        created: when the database was copied, ISO 8601 in UTC.
        source: the tracking store, without credentials.
        tools: versions of what made it, by name.
        locations: experiment id -> folder of its artifacts, relative to the database.
        unfinished_runs: ids of runs that were still going on, whose artifacts may be incomplete.
        files: relative name -> checksum and size of every file but this one.
        format: of the backup.
    """

    created: str
    source: str
    tools: Mapping[str, str]
    locations: Mapping[str, str]
    unfinished_runs: list[str]
    files: Mapping[str, FileMark]
    format: int = FORMAT

    def as_json(self) -> bytes:
        """The content of the manifest's file."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, content: bytes, source: Path) -> Manifest:
        """Read a manifest, and refuse one whose names lead out of the backup.

        Args:
            content: of the manifest's file.
            source: the backup, for the message.

        Raises:
            TrackingError: it is no manifest of ours.
        """
        try:
            values = json.loads(content)
            files = {name: FileMark(**mark) for name, mark in values.pop("files").items()}
            manifest = cls(**values, files=files)
            names = [*files, *manifest.locations.values()]
            sound = manifest.format == FORMAT and DATABASE in files
        except (ValueError, TypeError, KeyError, AttributeError):
            sound = False
        if not sound:
            raise TrackingError(f"no readable {MANIFEST} in {source}", f"format {FORMAT}", _HINT)
        for name in names:
            check_name(name, source)
        return manifest

    def check(self, found: Mapping[str, FileMark], source: Path) -> None:
        """Compare the files of a backup with what they were.

        Args:
            found: the files that are there.
            source: the backup, for the message.

        Raises:
            TrackingError: a file is missing, added or changed.
        """
        every = sorted({*self.files, *found})
        wrong = [name for name in every if self.files.get(name) != found.get(name)]
        if wrong:
            names = ", ".join(wrong[:3]) + (", ..." if len(wrong) > 3 else "")
            raise TrackingError(
                f"{len(wrong)} changed, missing or added files in {source} ({names})",
                f"the files whose SHA-256 {MANIFEST} holds",
                _HINT,
            )


def check_name(name: str, source: Path) -> None:
    """Make sure that a name is the database's or stays in the folder of the artifacts.

    Args:
        name: of a file or folder in a backup, with slashes.
        source: the backup, for the message.

    Raises:
        TrackingError: it may lead elsewhere.
    """
    path = Path(name)
    inside = path.parts[:1] == (ARTIFACTS_ROOT,) and ".." not in path.parts and "\0" not in name
    if name != DATABASE and not inside:
        raise TrackingError(
            f"{name!r} in {source}", f"{DATABASE}, and names that stay in {ARTIFACTS_ROOT}", _HINT
        )


class MarkingReader:
    """Reads a file and keeps its checksum, so that what is marked is what was copied."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self._digest = hashlib.sha256()
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        """Read on, as a file does."""
        block = self._content.read(size)
        self._digest.update(block)
        self._size += len(block)
        return block

    @property
    def mark(self) -> FileMark:
        """Of what has been read."""
        return FileMark(self._digest.hexdigest(), self._size)


def copy_marked(content: BinaryIO, target: Path) -> FileMark:
    """Write a file from an open one.

    Args:
        content: where it comes from.
        target: where it goes; its folder is made.

    Returns:
        The mark of what was written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    reader = MarkingReader(content)
    with target.open("xb") as file:
        shutil.copyfileobj(reader, file)
    return reader.mark
