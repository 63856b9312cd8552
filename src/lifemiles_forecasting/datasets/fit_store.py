"""`FitStoreDataset`: fits in a folder, a file each, for the next run to find."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from lifemiles_forecasting.core.software import software
from lifemiles_forecasting.datasets.aside import PART

logger = logging.getLogger(__name__)

SUFFIX = ".fit"
_CHECK = 32  # bytes of a checksum, which a file begins with


class FolderOfFits:
    """A `core.reuse.FitStore`; one run at a time may write to it.

    A file that is damaged, cut off or under a foreign name counts as absent. What cannot be written
    or removed is told once and is left as it is: the run itself goes on.

    Args:
        folder: made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writable = self._removable = True
        self.software = software()

    def get(self, key: str) -> bytes | None:
        """See `FitStore`."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):  # somebody else's
            os.utime(path)  # what was used last is removed last
        check, blob = content[:_CHECK], content[_CHECK:]
        return blob if check == _checksum(key, blob) else None

    def put(self, key: str, blob: bytes) -> None:
        """See `FitStore`; in place as a whole or not at all."""
        if not self._writable:
            return
        part = self._folder / f".{key}.{os.getpid()}{PART}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # not forced to the disk: what a power cut leaves half-written has no checksum
            part.write_bytes(_checksum(key, blob) + blob)
            part.replace(self._path(key))
        except OSError as error:
            self._writable = False
            with suppress(OSError):
                part.unlink()
            logger.warning("Fits are not kept for a later run: %s", error)

    def keep_only(self, keys: Collection[str]) -> None:
        """See `FitStore`."""
        for path in self._files():
            if path.stem not in keys:
                self._remove(path)

    def shrink(self, max_bytes: int) -> None:
        """Remove what was used longest ago, as runs that never ended leave it, down to a size."""
        files = sorted(((path.stat(), path) for path in self._files()), key=_last_used)
        total = sum(status.st_size for status, _ in files)
        for status, path in files:
            if total <= max_bytes:
                return
            self._remove(path)
            total -= status.st_size

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            if self._removable:
                logger.warning("Fits that no run needs any longer cannot be removed: %s", error)
            self._removable = False

    def _files(self) -> list[Path]:
        return list(self._folder.glob(f"*{SUFFIX}"))

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{SUFFIX}"


def _last_used(item: tuple[os.stat_result, Path]) -> tuple[int, str]:
    return item[0].st_mtime_ns, item[1].name


def _checksum(key: str, blob: bytes) -> bytes:
    return hashlib.sha256(key.encode() + blob).digest()


class FitStoreDataset(AbstractDataset[None, FolderOfFits]):
    """Loads a store of fits, which is then asked for them and given new ones.

    Example of a catalog entry::

        fits:
          type: lifemiles_forecasting.datasets.fit_store.FitStoreDataset
          filepath: data/06_models/fits
          max_bytes: 4000000000

    Args:
        filepath: the folder.
        max_bytes: what earlier runs have left there is cut down to this size when it is loaded.
        metadata: for plugins such as kedro-viz.
    """

    def __init__(
        self, filepath: str, max_bytes: int, metadata: dict[str, Any] | None = None
    ) -> None:
        self._folder, self._max_bytes = Path(filepath), max_bytes
        self.metadata = metadata

    def load(self) -> FolderOfFits:
        """The store; nothing is read yet."""
        fits = FolderOfFits(self._folder)
        fits.shrink(self._max_bytes)
        return fits

    def save(self, data: None) -> NoReturn:
        """Refuse: training puts its fits into what `load` gave.

        Raises:
            DatasetError: always.
        """
        raise DatasetError("a store of fits is loaded, and then written to by training")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder), "max_bytes": self._max_bytes}
