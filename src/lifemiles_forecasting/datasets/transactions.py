"""The folder of raw transactions, read by an embedded DuckDB."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import weakref
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kedro.io import AbstractDataset, DatasetError

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.transactions import RECORD, count_rows, flawed_rows
from lifemiles_forecasting.datasets import csv_records, text_files

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    from ibis.backends.duckdb import Backend

PER_FILE = 10_000_000_000  # records of one file; `record` = file's place * PER_FILE + row
VIEW = "{view}"  # stands for the name of a file's view in a query
# DuckDB would take such a path for a pattern, or has no text for its bytes
SPECIAL = re.compile(r"[*?\[\ud800-\udfff]")


class Form(NamedTuple):
    """How the files are written."""

    separator: str
    encoding: str


Columns = Callable[[list[str], str], Mapping[str, int]]
Classify = Callable[["ir.Table"], "ir.Table"]


@dataclass(frozen=True)
class FileRows:
    """One file inside the database.

    Attributes:
        name: of the file; bytes outside of UTF-8 are escaped.
        path: where its content is in UTF-8.
        separator: between its cells.
        header: its column names.
        texts: all columns as text, by position (`c0`, `c1`, ...), straight from the file.
        typed: what was made of them, stored in the file's order.
        rows: records that could be read.
        starts: their line numbers, where they are not simply 2, 3, ...
        unreadable: the other records.
    """

    name: str
    path: Path
    separator: str
    header: list[str]
    texts: ir.Table
    typed: ir.Table
    rows: int
    starts: array[int] | None
    unreadable: list[csv_records.Unreadable]


class Reading:
    """The typed rows of all files, and the way back to their raw values.

    Attributes:
        files: what was read, by name.
        rows: `record` (rising with file and line), `file` and the typed columns of all files.
    """

    def __init__(self, engine: _Engine, files: list[FileRows]) -> None:
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
        """Compute an expression once and keep the result in the database."""
        return self._engine.store(expression)

    def counts(self, rejected: ir.Table) -> list[dict[str, Any]]:
        """`file, rows_in, rows_used, rows_after_as_of` of every file.

        Args:
            rejected: see `core.transactions.settle`.
        """
        found = count_rows(self.rows, rejected).to_pandas().set_index(c.FILE)
        counted = found.reindex([file.name for file in self.files], fill_value=0)
        return [
            {
                "file": file.name,
                "rows_in": file.rows + len(file.unreadable) - int(after),
                "rows_used": int(used),
                "rows_after_as_of": int(after),
            }
            for file, used, after in zip(
                self.files, counted["rows_used"], counted["rows_after_as_of"], strict=True
            )
        ]

    def quarantine(self, rejected: ir.Table) -> pd.DataFrame:
        """Every row that is not used: `file, line, reason, raw`, sorted by file and line.

        `raw` is the JSON of the row's values by column name, or the line itself where it could
        not be read.

        Args:
            rejected: see `core.transactions.settle`.
        """
        import pandas as pd

        flawed = self.keep(flawed_rows(self.rows, rejected)).to_pandas().sort_values(RECORD)
        parts = []
        for place, (file, records) in enumerate(self._by_file(flawed)):
            rows = records[RECORD].to_numpy() - place * PER_FILE
            found = {
                c.LINE: _line_numbers(file, rows),
                c.REASON: records[c.REASON],
                c.RAW: _raw_values(file, rows),
            }
            lines = pd.DataFrame(file.unreadable, columns=[c.LINE, c.RAW, c.REASON])
            both = pd.concat([pd.DataFrame(found), lines]).sort_values(c.LINE)
            parts.append(both.assign(**{c.FILE: file.name}))
        types = {c.FILE: "str", c.LINE: "int64", c.REASON: "str", c.RAW: "str"}
        return pd.concat(parts, ignore_index=True)[list(c.QUARANTINE)].astype(types)

    def _by_file(self, flawed: pd.DataFrame) -> list[tuple[FileRows, pd.DataFrame]]:
        place = flawed[RECORD] // PER_FILE
        return [(file, flawed[place == i]) for i, file in enumerate(self.files)]


def _raw_values(file: FileRows, rows: Any) -> list[str]:
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


def _line_numbers(file: FileRows, rows: Any) -> Any:
    """The lines on which some rows begin; the header is line 1."""
    import numpy as np

    if not len(rows):
        return rows
    starts = file.starts
    if starts is None and csv_records.count_lines(file.path) != file.rows + 1:
        # blank lines, or records over several lines
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            found = csv_records.survey(file.path, file.separator, len(file.header), nowhere)
        starts = found.starts if len(found.starts) == file.rows else None
    return rows + 2 if starts is None else np.array(starts)[rows]


class _Engine:
    """An embedded DuckDB with a folder of its own for what does not fit into memory."""

    def __init__(self, memory_limit: str) -> None:
        import ibis

        self._scratch = Path(tempfile.mkdtemp(prefix="transactions_"))
        weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        self.connection: Backend = ibis.duckdb.connect(
            memory_limit=memory_limit, temp_directory=str(self._scratch / "spilled")
        )
        self._tables, self._compiled = 0, {}

    def store(self, expression: ir.Table) -> ir.Table:
        """Write an expression into a table."""
        self._tables += 1
        return self.connection.create_table(f"kept_{self._tables}", expression)

    def scan(self, path: Path, separator: str, width: int) -> tuple[ir.Table, str]:
        """All columns of a file as text; the name of the table of what could not be read."""
        self._tables += 1
        rejects = f"rejects_{self._tables}"
        table = self.connection.read_csv(
            str(path),
            table_name=f"texts_{self._tables}",
            columns={f"c{i}": "VARCHAR" for i in range(width)},
            header=True,
            delim=separator,
            quote='"',
            escape='"',
            store_rejects=True,
            rejects_table=rejects,
            rejects_scan=f"{rejects}_scan",
            rejects_limit=1,  # one is enough to know that the file is damaged
        )
        return table, rejects

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.connection.raw_sql(f'SELECT count(*) FROM "{table}"').fetchall()[0][0])

    def load(
        self, texts: ir.Table, rejects: str, header: tuple[str, ...], typed: Classify
    ) -> ir.Table | None:
        """The typed rows of a sound file; None if anything in it could not be read."""
        import duckdb

        # files of one header differ in nothing but the view's name; compiling takes Python 40 ms
        view = f'"{texts.get_name()}"'
        if header not in self._compiled:
            self._compiled[header] = self.connection.compile(typed(texts)).replace(view, VIEW)
        name = f"typed_{texts.get_name()}"
        try:
            query = self._compiled[header].replace(VIEW, view)
            self.connection.raw_sql(f"CREATE TABLE {name} AS {query}")
        except (duckdb.InvalidInputException, duckdb.IOException):
            return None
        # the table of rejects is filled by the scan alone, and stays empty for a sound file
        if self.rows(rejects):
            self.connection.raw_sql(f"DROP TABLE {name}")
            return None
        return self.connection.table(name)

    def plain(self, path: Path, encoding: str) -> Path:
        """Where the database can read a file as UTF-8: itself, a link to it, or a copy."""
        text_files.check_format(path, encoding)
        if encoding == "utf-8" and not SPECIAL.search(str(path)):
            return path
        self._tables += 1
        if encoding == "utf-8":
            ending = ".csv.gz" if path.suffix.lower() == ".gz" else ".csv"
            link = self._scratch / f"{self._tables}{ending}"
            link.symlink_to(path.absolute())
            return link
        copy = self._scratch / f"{self._tables}.csv"
        with copy.open("wb") as sink:
            text_files.to_utf8(path, encoding, sink)
        return copy

    def mend(self, path: Path, separator: str, width: int) -> tuple[Path, csv_records.Survey]:
        """A copy of a damaged file's readable records, and the account of the others."""
        self._tables += 1
        copy = self._scratch / f"{self._tables}.csv"
        with copy.open("w", encoding="utf-8", newline="") as sink:
            return copy, csv_records.survey(path, separator, width, sink)

    def read(self, path: Path, form: Form, columns: Columns, classify: Classify) -> FileRows:
        """One file; a damaged one from its mended copy."""
        name = os.fsencode(path.name).decode("utf-8", "backslashreplace")
        damaged = text_files.check_packed(path)
        source = self.plain(path, form.encoding)
        if form.encoding != "utf-8":
            damaged = text_files.check_packed(source)
        header = csv_records.read_header(source, *form, name)
        positions = columns(header, name)

        def typed(texts: ir.Table) -> ir.Table:
            return classify(texts.select(**{k: texts[f"c{at}"] for k, at in positions.items()}))

        survey, table = csv_records.Survey(), None
        if not damaged:
            texts, rejects = self.scan(source, form.separator, len(header))
            table = self.load(texts, rejects, tuple(header), typed)
        mended = table is None
        if table is None:
            copy, survey = self.mend(source, form.separator, len(header))
            texts, rejects = self.scan(copy, form.separator, len(header))
            table = self.load(texts, rejects, tuple(header), typed)
        if table is None:
            raise InputError(f"lines in {name} that no CSV reader accepts", "a CSV file")
        starts = survey.starts if mended else None
        rows = self.rows(table.get_name())
        return FileRows(
            name, source, form.separator, header, texts, table, rows, starts, survey.unreadable
        )


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

    def read(self, separator: str, encoding: str, columns: Columns, classify: Classify) -> Reading:
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
        engine = _Engine(self._memory_limit)
        return Reading(engine, [engine.read(path, form, columns, classify) for path in paths])


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
