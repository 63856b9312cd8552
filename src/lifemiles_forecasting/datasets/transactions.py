"""The folder of raw transactions, read by an embedded DuckDB."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.names import printable
from lifemiles_forecasting.core.transactions import RECORD, flawed_rows
from lifemiles_forecasting.core.unread import may_be_data, notices
from lifemiles_forecasting.datasets.engine import PER_FILE, Engine, FileRows, Form, shown_name
from lifemiles_forecasting.datasets.quarantine import file_quarantine, line_numbers, raw_values
from lifemiles_forecasting.datasets.reading import Classify, Columns, Reading, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir
    import pandas as pd

# bytes for an activity number that is compared: within 1.2 GB DuckDB can 20 million, not 50
BYTES_PER_NUMBER = 120


class FilesReading(Reading):
    """The files of a folder in the embedded database."""

    def __init__(self, engine: Engine, files: list[FileRows], not_read: Sequence[str]) -> None:
        import ibis

        self._engine, self.files, self.not_read = engine, files, not_read
        needed = BYTES_PER_NUMBER * sum(file.rows for file in files)
        self.parts = max(1, ceil(needed / engine.memory()))
        self.rows = ibis.union(
            *(
                file.typed.mutate(
                    **{
                        RECORD: file.typed.rowid() + place * PER_FILE,
                        c.FILE: ibis.literal(file.name),
                    }
                )
                for place, file in enumerate(files)
            )
        )

    def keep(self, expression: ir.Table) -> ir.Table:
        """As every reading does it."""
        return self._engine.store(expression)

    def fetch(self, expression: ir.Table, finish: Step) -> ir.Table:
        """As every reading does it."""
        return self._engine.store(finish(expression))

    def naming_rows(self, days: ir.Table) -> ir.Table:
        """As every reading does it."""
        return self.rows

    def quarantine(self, rejected: ir.Table) -> pd.DataFrame:
        """As every reading does it."""
        flawed = self.keep(flawed_rows(self.rows, rejected)).to_pandas().sort_values(RECORD)
        place = flawed[RECORD] // PER_FILE
        parts = [(file, flawed[place == i]) for i, file in enumerate(self.files)]
        looked_up = [(file, part, part[RECORD].to_numpy() % PER_FILE) for file, part in parts]
        return file_quarantine(
            (file, part[c.REASON], line_numbers(file, rows), raw_values(file, rows))
            for file, part, rows in looked_up
        )


class TransactionFiles:
    """A folder of CSV files, not looked into yet.

    Args:
        folder: where `*.csv` and `*.csv.gz` are; other files and sub-folders are not read.
        memory_limit: of the database that reads them, such as `1200MB`.
    """

    def __init__(self, folder: Path, memory_limit: str) -> None:
        self.folder, self._memory_limit = folder, memory_limit

    def paths(self) -> list[Path]:
        """The files by name.

        Raises:
            InputError: the folder is missing, has no such file, or one that is a broken link.
        """
        other = "another folder with --params=raw_transactions=DIR."
        if not self.folder.is_dir():
            raise InputError(
                f"no folder {self.folder}",
                "the CSV files of the transactions in it",
                f"Choose {other}",
            )
        paths = sorted(path for path in self.folder.iterdir() if _is_csv(path))
        lost = [path.name for path in paths if not path.exists()]
        if lost:
            raise InputError(
                f"a link {lost[0]} that leads nowhere", "a file", "Mount its disk, or remove it."
            )
        if not paths:
            found, hint = f"no .csv or .csv.gz file in {self.folder}", f"Choose {other}"
            for notice in notices(self.not_read()):
                found += f", which has: {printable(notice.subject)}"
                hint = f"Bring these there in that form, or choose {other}"
            raise InputError(found, "at least one", hint)
        return paths

    def not_read(self) -> list[str]:
        """What else may hold data: other files, and folders with a `/` behind their names."""
        others = (path for path in sorted(self.folder.iterdir()) if not _is_csv(path))
        return [
            shown_name(path) + "/" * path.is_dir()
            for path in others
            if may_be_data(path.name) and (not path.is_dir() or _holds_data(path))
        ]

    def read(
        self, separator: str, encoding: str, columns: Columns, classify: Classify
    ) -> FilesReading:
        """Read every file into typed rows, in the order of their names.

        Args:
            separator: one character.
            encoding: `utf-8`, `latin-1`, `cp1252` or `utf-16`.
            columns: header and file name to canonical name and position.
            classify: columns of text by canonical name to typed rows, the same for all files.

        Raises:
            InputError: there is no file, or one that cannot be read or lacks a column.
        """
        paths, form = self.paths(), Form(separator, encoding)
        engine = Engine(self._memory_limit)
        files = [engine.read(path, form, columns, classify) for path in paths]
        return FilesReading(engine, files, self.not_read())


def _is_csv(path: Path) -> bool:
    name = path.name.lower()
    there = path.is_file() or (path.is_symlink() and not path.exists())
    return there and not name.startswith(".") and name.endswith((".csv", ".csv.gz"))


def _holds_data(folder: Path) -> bool:
    """Whether a file in it may be data; one that cannot be looked into may hold some, too."""

    def refuse(error: OSError) -> None:
        raise error

    try:
        for _, folders, files in os.walk(folder, onerror=refuse):
            folders[:] = filter(may_be_data, folders)
            if any(map(may_be_data, files)):
                return True
    except OSError:
        return True
    return False


class TransactionFilesDataset(AbstractDataset[None, TransactionFiles]):
    """The folder of raw transactions as a catalog entry; it is only ever read.

    Args:
        filepath: the folder, absolute or relative to the project.
        memory_limit: of the database that reads the files, such as `1200MB`.
        metadata: for Kedro-Viz and other plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        memory_limit: str = "1200MB",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filepath, self._memory_limit = Path(filepath), memory_limit
        self.metadata = metadata

    @property
    def source(self) -> str:
        """Address of the folder; Kedro has put the project before what is relative."""
        return self._filepath.absolute().as_uri()

    def load(self) -> TransactionFiles:
        """Hand out the folder; it is looked into when it is read, for errors to be plain."""
        return TransactionFiles(self._filepath, self._memory_limit)

    def save(self, data: None) -> None:
        """Refuse: the raw transactions are not ours to write."""
        raise DatasetError(f"{self} is read only")

    def _exists(self) -> bool:
        return self._filepath.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "memory_limit": self._memory_limit}
