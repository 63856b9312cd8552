"""The folder of raw transactions, read by an embedded DuckDB."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.transactions import RECORD, flawed_rows
from lifemiles_forecasting.datasets import csv_records
from lifemiles_forecasting.datasets.engine import Engine, FileRows, Form
from lifemiles_forecasting.datasets.reading import Classify, Columns, Reading, Source, Step

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

PER_FILE = 10_000_000_000  # records of one file; `record` = file's place * PER_FILE + row


class FilesReading(Reading):
    """The files of a folder in the embedded database."""

    def __init__(self, engine: Engine, files: list[FileRows]) -> None:
        import ibis

        self._engine, self.files = engine, files
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


def file_quarantine(
    parts: Iterable[tuple[Source, pd.Series, Sequence[int], Sequence[str]]],
) -> pd.DataFrame:
    """The quarantine of some files: `file, line, reason, raw`, sorted by file and line.

    Args:
        parts: each file with the reasons, lines and raw values of its readable rows; the
            unreadable ones it has itself.
    """
    import pandas as pd

    tables = []
    for file, reasons, lines, values in parts:
        rows = pd.DataFrame({c.LINE: lines, c.REASON: reasons.to_numpy(), c.RAW: values})
        others = pd.DataFrame(file.unreadable, columns=[c.LINE, c.RAW, c.REASON])
        tables.append(pd.concat([rows, others]).sort_values(c.LINE).assign(**{c.FILE: file.name}))
    types = {c.FILE: "str", c.LINE: "int64", c.REASON: "str", c.RAW: "str"}
    return pd.concat(tables, ignore_index=True)[list(c.QUARANTINE)].astype(types)


def raw_values(file: FileRows, rows: Any) -> list[str]:
    """The values of some rows (ascending) as JSON, read from the file again."""
    import ibis

    if not len(rows):
        return []
    wanted = ibis.memtable({"row": rows})
    numbered = file.texts.mutate(row=ibis.row_number())
    found = numbered.semi_join(wanted, "row").order_by("row").drop("row").to_pyarrow()
    names = [name or f"column {i + 1}" for i, name in enumerate(file.header)]
    values = zip(*(column.to_pylist() for column in found.columns), strict=True)
    return [
        json.dumps({k: v or "" for k, v in zip(names, row, strict=True)}, ensure_ascii=False)
        for row in values
    ]


def line_numbers(file: FileRows, rows: Any) -> Any:
    """The lines on which some rows begin; the header is line 1."""
    import numpy as np

    if not len(rows):
        return rows
    starts = None if file.survey is None else file.survey.starts
    if starts is None and csv_records.count_lines(file.path) != file.rows + 1:
        # blank lines, or records over several lines
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            found = csv_records.survey(file.path, file.separator, len(file.header), nowhere)
        starts = found.starts if len(found.starts) == file.rows else None
    return rows + 2 if starts is None else np.array(starts)[rows]


class TransactionFiles:
    """A folder of CSV files, not looked into yet.

    Args:
        folder: where `*.csv` and `*.csv.gz` are; other files and sub-folders do not matter.
        memory_limit: of the database that reads them, such as `1200MB`.
    """

    def __init__(self, folder: Path, memory_limit: str) -> None:
        self.folder, self._memory_limit = folder, memory_limit

    def paths(self) -> list[Path]:
        """The files by name.

        Raises:
            InputError: the folder is missing, has no such file, or one that is a broken link.
        """
        hint = "Choose another folder with --params=raw_transactions=DIR."
        if not self.folder.is_dir():
            raise InputError(
                f"no folder {self.folder}", "the CSV files of the transactions in it", hint
            )
        paths = sorted(path for path in self.folder.iterdir() if _is_csv(path))
        lost = [path.name for path in paths if not path.exists()]
        if lost:
            raise InputError(
                f"a link {lost[0]} that leads nowhere", "a file", "Mount its disk, or remove it."
            )
        if not paths:
            raise InputError(f"no .csv or .csv.gz file in {self.folder}", "at least one", hint)
        return paths

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
        return FilesReading(engine, [engine.read(path, form, columns, classify) for path in paths])


def _is_csv(path: Path) -> bool:
    name = path.name.lower()
    there = path.is_file() or (path.is_symlink() and not path.exists())
    return there and not name.startswith(".") and name.endswith((".csv", ".csv.gz"))


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
