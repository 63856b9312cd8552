"""The embedded DuckDB that reads transaction files, one by one, into typed rows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lifemiles_forecasting.core.errors import ConfigError, InputError
from lifemiles_forecasting.datasets import csv_records, text_files
from lifemiles_forecasting.datasets.reading import Classify, Columns
from lifemiles_forecasting.datasets.scratch import Scratch

if TYPE_CHECKING:
    import ibis
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

PER_FILE = 10_000_000_000  # records of one file; `record` = file's place * PER_FILE + row
VIEW = "{view}"  # stands for the name of a file's view in a query
# DuckDB would take such a path for a pattern, or has no text for its bytes
SPECIAL = re.compile(r"[*?\[\ud800-\udfff]")


def shown_name(path: Path) -> str:
    """A file's name; bytes outside of UTF-8 are escaped."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


class Form(NamedTuple):
    """How the files are written."""

    separator: str
    encoding: str


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
        first: texts of the first rows by canonical name.
        survey: where the file is damaged, the line numbers of its records and the other lines.
    """

    name: str
    path: Path
    separator: str
    header: list[str]
    texts: ir.Table
    typed: ir.Table
    rows: int
    first: Mapping[str, list[str]]
    survey: csv_records.Survey | None = None

    @property
    def unreadable(self) -> list[csv_records.Unreadable]:
        """The records that could not be read."""
        return [] if self.survey is None else self.survey.unreadable


class Engine:
    """An embedded DuckDB with a folder of its own for what does not fit into memory."""

    def __init__(self, memory_limit: str) -> None:
        """Open it.

        Raises:
            ConfigError: `memory_limit` is no amount of memory.
        """
        import duckdb
        import ibis

        self._scratch = Scratch()
        try:
            self.connection: Backend = ibis.duckdb.connect(
                memory_limit=memory_limit, temp_directory=str(self._scratch.path / "spilled")
            )
        except duckdb.ParserException:
            raise ConfigError(
                f"memory_limit = {memory_limit!r} of raw_transactions in the catalog",
                "a number with its unit, such as 1200MB or 2GB",
            ) from None
        self._tables, self._compiled, self._memory_limit = 0, {}, memory_limit

    def store(self, expression: ir.Table) -> ir.Table:
        """Write an expression into a table.

        Raises:
            InputError: it takes more memory than it may.
        """
        self._tables += 1
        with self._within_limit():
            return self.connection.create_table(f"kept_{self._tables}", expression)

    def memory(self) -> int:
        """Bytes that it may use."""
        query = "SELECT parse_formatted_bytes(current_setting('memory_limit'))"
        return self.connection.con.execute(query).fetchone()[0]

    @contextmanager
    def _within_limit(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.OutOfMemoryException as error:
            raise InputError(
                f"more rows than the database can compare within {self._memory_limit}",
                "fewer, or more memory for it",
                "Raise memory_limit of raw_transactions in the catalog.",
            ) from error

    def scratch(self, ending: str) -> Path:
        """A path of its own for a file that is not needed any more when this process ends."""
        self._tables += 1
        return self._scratch.path / f"{self._tables}{ending}"

    def load_csv(self, path: Path, schema: ibis.Schema) -> ir.Table:
        """A file that another database has written: quoted text, null where there is nothing.

        Args:
            path: it has no header.
            schema: names and types of its columns.
        """
        from ibis.backends.sql.datatypes import DuckDBType

        self._tables += 1
        return self.connection.read_csv(
            str(path),
            table_name=f"loaded_{self._tables}",
            columns={name: DuckDBType.to_string(kind) for name, kind in schema.items()},
            header=False,
            delim=",",
            quote='"',
            escape='"',
            allow_quoted_nulls=False,
            hive_partitioning=False,
        )

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
            hive_partitioning=False,  # it would add a column for a folder such as `year=2024`
        )
        return table, rejects

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        return self.connection.con.table(table).aggregate("count(*)").fetchall()[0][0]

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
            with self._within_limit():
                self.connection.raw_sql(f"CREATE TABLE {name} AS {query}")
        except (duckdb.InvalidInputException, duckdb.IOException):
            return None
        # the table of rejects is filled by the scan alone, and stays empty for a sound file
        if self.rows(rejects):
            self.connection.raw_sql(f"DROP TABLE {name}")
            return None
        return self.connection.table(name)

    def plain(self, path: Path, encoding: str) -> tuple[Path, bool]:
        """Where the database finds a file in UTF-8, and whether it has control bytes."""
        controls = text_files.check_bytes(path)
        text_files.check_format(path, encoding)
        if encoding != "utf-8":
            copy = self.scratch(".csv")
            with copy.open("wb") as sink:
                text_files.to_utf8(path, encoding, sink)
            return copy, text_files.check_bytes(copy)
        if not SPECIAL.search(str(path)):
            return path, controls
        ending = ".csv.gz" if path.suffix.lower() == ".gz" else ".csv"
        link = self.scratch(ending)
        link.symlink_to(path.absolute())
        return link, controls

    def mend(self, path: Path, separator: str, width: int) -> tuple[Path, csv_records.Survey]:
        """A copy of a damaged file's readable records, and the account of the others."""
        copy = self.scratch(".csv")
        with copy.open("w", encoding="utf-8", newline="") as sink:
            return copy, csv_records.survey(path, separator, width, sink)

    def read(self, path: Path, form: Form, columns: Columns, classify: Classify) -> FileRows:
        """One file; a damaged one from its mended copy.

        Raises:
            InputError: it cannot be read, or is not of this form.
        """
        name = shown_name(path)
        source, damaged = self.plain(path, form.encoding)
        header = csv_records.read_header(source, *form, name)
        width, positions = len(header), columns(header, name)

        def loaded(file: Path) -> tuple[ir.Table, ir.Table | None]:
            texts, rejects = self.scan(file, form.separator, width)
            return texts, self.load(texts, rejects, tuple(header), typed)

        def typed(texts: ir.Table) -> ir.Table:
            return classify(texts.select(**{k: texts[f"c{at}"] for k, at in positions.items()}))

        first = csv_records.first_records(source, form.separator, width)
        shown = {key: [row[at] for row in first] for key, at in positions.items()}
        if not damaged:
            texts, table = loaded(source)
            if table is not None:
                rows = self.rows(table.get_name())
                return FileRows(name, source, form.separator, header, texts, table, rows, shown)
        copy, survey = self.mend(source, form.separator, width)
        texts, table = loaded(copy)
        if table is None:
            raise InputError(f"lines in {name} that no CSV reader accepts", "a CSV file")
        rows = self.rows(table.get_name())
        return FileRows(name, source, form.separator, header, texts, table, rows, shown, survey)
