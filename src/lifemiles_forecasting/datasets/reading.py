"""What is read of the raw transactions, wherever they are and whichever engine reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.transactions import count_rows

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

Columns = Callable[[list[str], str], Mapping[str, int]]
Classify = Callable[..., "ir.Table"]  # of texts, and of `step` (see core.transactions.classify)
Step = Callable[["ir.Table"], "ir.Table"]


class Source(Protocol):
    """One file or table.

    Attributes:
        name: of the file; bytes outside of UTF-8 are escaped.
        rows: records that could be read.
        first: texts of the first rows by canonical name.
    """

    name: str
    rows: int
    first: Mapping[str, list[str]]

    @property
    def unreadable(self) -> Sequence[Any]:
        """The records that could not be read."""


class Reading(ABC):
    """The typed rows of all files, and the way back to their raw values.

    Attributes:
        files: what was read, by name.
        rows: `record` (rising with file and line), `file` and the typed columns of all files, in
            the engine that has classified them.
        not_read: what lies beside the files and may hold data; names, of folders with a `/`.
        parts: into which its activity numbers are to be parted for them to be compared within the
            engine's memory; an engine that needs no help has one.
    """

    files: Sequence[Source]
    rows: ir.Table
    not_read: Sequence[str] = ()
    parts: int = 1

    @abstractmethod
    def keep(self, expression: ir.Table) -> ir.Table:
        """Compute an expression once and keep the result in the engine."""

    @abstractmethod
    def fetch(self, expression: ir.Table, finish: Step) -> ir.Table:
        """Compute an expression and keep what `finish` makes of it in the embedded database."""

    @abstractmethod
    def naming_rows(self, days: ir.Table) -> ir.Table:
        """`record, labels` of at least the rows that name the stores, in the embedded database.

        Args:
            days: see `core.panel.store_days`, fetched.
        """

    @abstractmethod
    def quarantine(self, rejected: ir.Table) -> pd.DataFrame:
        """Every row that is not used: `file, line, reason, raw`, sorted by file and line.

        `raw` is the JSON of the row's values by column name, or the line itself where it could
        not be read.

        Args:
            rejected: see `core.transactions.settle`.
        """

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


class Transactions(Protocol):
    """Raw transactions that were not looked into yet."""

    def read(self, separator: str, encoding: str, columns: Columns, classify: Classify) -> Reading:
        """Read every row into its typed form.

        Args:
            separator: of files; one character.
            encoding: of files; `utf-8`, `latin-1`, `cp1252` or `utf-16`.
            columns: header and file name to canonical name and position.
            classify: columns of text by canonical name to typed rows, the same for all files.

        Raises:
            InputError: there is nothing to read, or it cannot be read or lacks a column.
        """
