"""The folders of runs and logged models on this machine: whose they are, how large, and removal."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from lifemiles_forecasting.core.errors import TrackingError

ARTIFACTS, MODELS = "artifacts", "models"
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


def is_remote(uri: str | None) -> bool:
    """Whether artifacts are in a bucket or behind a server, not files of this machine."""
    return uri is not None and not is_local_uri(uri)


def location_folder(uri: str) -> Path:
    """The folder of an experiment's artifacts, without symbolic links.

    Args:
        uri: local artifact location, a `file:` address or a path.
    """
    return Path(local_file_uri_to_path(uri)).resolve()


def relative_folder(owner: str) -> Path:
    """Where MLflow puts what a run or a logged model owns, under its experiment's location.

    Args:
        owner: id of a run or of a logged model.
    """
    return Path(MODELS, owner) if _MODEL_ID.fullmatch(owner) else Path(owner)


def owned_folder(location: Path | None, uri: str | None, owner: str) -> Path | None:
    """The folder that a run or a logged model owns, if its address is the one MLflow gives out.

    What a database says is not trusted: an address outside of the experiment's location, of
    another run, or that leads elsewhere through a symbolic link is nobody's folder.

    Args:
        location: folder of the experiment's artifacts, as `location_folder` gives it.
        uri: address of the artifacts.
        owner: id of the run or the logged model.

    Returns:
        The folder that holds `artifacts`; it need not exist. Nothing when the address is another.
    """
    if location is None or uri is None or is_remote(uri):
        return None
    if not (_RUN_ID.fullmatch(owner) or _MODEL_ID.fullmatch(owner)):
        return None
    folder = location / relative_folder(owner)
    return folder if location_folder(uri) == folder / ARTIFACTS else None


def candidate_folders(location: Path) -> Iterator[Path]:
    """Folders that look like a run's or a logged model's, whether or not they belong to one.

    Args:
        location: folder of an experiment's artifacts.

    Returns:
        Folders with such a name and nothing in them but `artifacts`; everything else is left out.
    """
    for parent, shape in ((location, _RUN_ID), (location / MODELS, _MODEL_ID)):
        if not parent.is_dir() or parent.is_symlink():
            continue
        for folder in sorted(parent.iterdir()):
            real = folder.is_dir() and not folder.is_symlink()
            if real and shape.fullmatch(folder.name) and _holds_artifacts_alone(folder):
                yield folder


def _holds_artifacts_alone(folder: Path) -> bool:
    return all(entry.name == ARTIFACTS for entry in folder.iterdir())


def folder_files(folder: Path) -> Iterator[Path]:
    """All files of a folder and its folders, in order; a link is a file that is not followed.

    Raises:
        TrackingError: a folder cannot be read; one that is not there has no files.
    """
    for root, folders, names in os.walk(folder, onerror=_refuse_unless_gone):
        folders.sort()
        links = [name for name in folders if Path(root, name).is_symlink()]
        yield from (Path(root, name) for name in sorted([*names, *links]))


def _refuse_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise TrackingError(
            f"a folder {error.filename} that cannot be read ({error.strerror})",
            "the right to read every artifact",
            "Give it to who looks after the tracking store, or work as its owner",
        ) from error


def folder_bytes(folder: Path) -> int:
    """Sum of the sizes of a folder's files; 0 when it is not there.

    Raises:
        TrackingError: a folder in it cannot be read.
    """
    return sum(file.lstat().st_size for file in folder_files(folder))


def remove_folders(folders: Iterator[Path] | Collection[Path]) -> dict[Path, int]:
    """Delete folders for good.

    Args:
        folders: each the folder of a run or a logged model.

    Returns:
        Bytes freed by folder.

    Raises:
        TrackingError: some could not be deleted; the others were.
    """
    freed: dict[Path, int] = {}
    failed: list[OSError | TrackingError] = []
    for folder in folders:
        try:
            size = folder_bytes(folder)
            if folder.exists():
                shutil.rmtree(folder)  # does not follow links
            freed[folder] = size
        except (OSError, TrackingError) as error:
            failed.append(error)
    if failed:
        raise TrackingError(
            f"{len(failed)} artifact folders that could not be deleted ({failed[0]})",
            "the right to delete them",
            "Their runs are gone from the database: prune again, and they go as orphans",
        )
    return freed
