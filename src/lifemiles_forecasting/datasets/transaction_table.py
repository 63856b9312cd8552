"""Raw transactions in a table of PostgreSQL, classified and summed by the server itself.

Only what is small leaves it: the store-days, the rows of the quarantine and the names of stores.
Nothing is written there but temporary tables, which end with the connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import ConfigError, InputError
from lifemiles_forecasting.core.panel import naming_records
from lifemiles_forecasting.core.transactions import RECORD, TEXTS, flawed_rows
from lifemiles_forecasting.datasets.engine import Engine
from lifemiles_forecasting.datasets.reading import Classify, Columns, Reading, Step

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    from ibis.backends.postgres import Backend

LOOKED_AT = 1_000  # rows that are looked at for the form of their amounts
# how the server writes dates and numbers; compiling our long expressions takes it longer than
# reading 300,000 rows
FORM = "-c datestyle=ISO -c extra_float_digits=1 -c jit=off"
HINT = "Name it with --params=raw_transactions=TABLE or SCHEMA.TABLE."


@dataclass(frozen=True)
class TableRows:
    """What was read of a table: see `reading.Source`."""

    name: str
    rows: int
    first: Mapping[str, list[str]]
    unreadable: tuple[()] = ()


class TableReading(Reading):
    """The rows of a table, typed in a temporary table beside it."""

    def __init__(self, server: Server, raw: ir.Table, key: str, typed: ir.Table) -> None:
        self._server, self._raw, self._key = server, raw, key
        self.rows, self.files = typed, []

    def keep(self, expression: ir.Table) -> ir.Table:
        """As every reading does it."""
        return self._server.store(expression)

    def fetch(self, expression: ir.Table, finish: Step) -> ir.Table:
        """As every reading does it."""
        return self._server.fetch(expression, finish)

    def naming_rows(self, days: ir.Table) -> ir.Table:
        """As every reading does it."""
        import ibis

        records = self._server.store(ibis.memtable(naming_records(days).to_pandas()))
        named = self.rows.semi_join(records, RECORD).select(RECORD, TEXTS)
        return self._server.fetch(named, lambda rows: rows)

    def quarantine(self, rejected: ir.Table) -> pd.DataFrame:
        """As every reading does it; `line` is the row's key."""
        import pandas as pd

        flawed = self.keep(flawed_rows(self.rows, rejected))
        names = list(self._raw.columns)
        texts = {f"c{i}": self._raw[name].cast("string") for i, name in enumerate(names)}
        raw = self._raw.select(**{RECORD: self._raw[self._key].cast("int64")}, **texts)
        both = self.fetch(flawed.left_join(raw, RECORD), lambda rows: rows.order_by(RECORD))
        values = both.select(*texts).to_pyarrow()
        cells = zip(*(column.to_pylist() for column in values.columns), strict=True)
        rows = [{name: cell or "" for name, cell in zip(names, row, strict=True)} for row in cells]
        found = both.select(RECORD, c.REASON).to_pandas()
        table = {
            c.FILE: self.files[0].name,
            c.LINE: found[RECORD],
            c.REASON: found[c.REASON],
            c.RAW: [json.dumps(row, ensure_ascii=False) for row in rows],
        }
        types = {c.FILE: "str", c.LINE: "int64", c.REASON: "str", c.RAW: "str"}
        return pd.DataFrame(table).astype(types)


class Server:
    """A connection to PostgreSQL, and the embedded database for what is fetched from there."""

    def __init__(self, url: str, memory_limit: str) -> None:
        self._engine, self.connection = Engine(memory_limit), _connected(url)
        self._tables = 0

    def store(self, expression: ir.Table) -> ir.Table:
        """Write an expression into a temporary table."""
        self._tables += 1
        name = f"kept_{self._tables}"
        self.connection._run_pre_execute_hooks(expression)
        query = self.connection.compile(expression)
        with self.connection.begin() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE {name} AS {query}")
            cursor.execute(f"ANALYZE {name}")
        return self.connection.table(name)

    def fenced(self, expression: ir.Table) -> ir.Table:
        """The same; what is made of it mentions its columns and does not compute them again."""
        query = f"{self.connection.compile(expression)} OFFSET 0"
        return self.connection.sql(query, schema=expression.schema())

    def fetch(self, expression: ir.Table, finish: Step) -> ir.Table:
        """Copy what an expression gives; a cursor would make a Python object of every value."""
        path = self._engine.scratch(".csv")
        query = self.connection.compile(expression)
        with (
            path.open("wb") as sink,
            self.connection.con.cursor() as cursor,
            cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)") as blocks,
        ):
            for block in blocks:
                sink.write(block)
        return self._engine.store(finish(self._engine.load_csv(path, expression.schema())))

    def table(self, name: str) -> ir.Table:
        """A table or view, with or without its schema.

        Raises:
            InputError: there is none of that name.
        """
        from ibis.common.exceptions import TableNotFound

        schema, _, table = name.rpartition(".")
        try:
            return self.connection.table(table, database=schema or None)
        except TableNotFound:
            raise InputError(
                f"no table {name} in the database", "the raw transactions in it", HINT
            ) from None


def _connected(url: str) -> Backend:
    try:
        import ibis
        import psycopg
    except ImportError:
        raise ConfigError(
            "no driver for PostgreSQL",
            "the package psycopg",
            'pip install "lifemiles-forecasting[postgres]"',
        ) from None
    _check_address(url)
    try:
        connection = psycopg.connect(url, autocommit=True, options=FORM)
    except psycopg.OperationalError as error:
        raise InputError(
            f"no PostgreSQL database to read from ({str(error).strip()})",
            "a connection",
            "Set LIFEMILES_DATABASE_URL, or PGHOST, PGDATABASE, PGUSER and PGPASSWORD.",
        ) from None
    return ibis.postgres.from_connection(connection)


def _check_address(url: str) -> None:
    """Refuse what is no address before the driver does, whose message would show the password.

    Raises:
        InputError: it cannot be read, or a sign in it makes a part of its password the host.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        host = str(conninfo_to_dict(url).get("host", ""))
    except psycopg.ProgrammingError:
        host = "@"
    if "@" in host:
        raise InputError(
            "an address of the database that cannot be read",
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
            "Look at LIFEMILES_DATABASE_URL: no driver stands in it (postgresql+psycopg), and of "
            "other signs than letters and digits in the password the codes (%40 for @).",
        )


class TransactionTable:
    """A table of raw transactions, not looked into yet.

    Args:
        url: of the database.
        name: of the table.
        key: its column of whole numbers that tell the rows apart, in the order of their arrival.
        memory_limit: of the embedded database that takes the store-days.
    """

    def __init__(self, url: str, name: str, key: str, memory_limit: str) -> None:
        self._url, self.name, self._key, self._limit = url, name, key, memory_limit

    def read(self, separator: str, encoding: str, columns: Columns, classify: Classify) -> Reading:
        """Classify every row inside the server.

        Args:
            separator: does not matter here.
            encoding: does not matter here.
            columns: column names and table name to canonical name and position.
            classify: columns of text by canonical name to typed rows.

        Raises:
            InputError: no connection, table or key, or the table lacks a column.
        """
        import ibis

        server = Server(self._url, self._limit)
        raw = server.table(self.name)
        header = list(raw.columns)
        self._check_key(raw)
        positions = columns(header, self.name)
        found = {key: raw[header[at]].cast("string") for key, at in positions.items()}
        record = raw[self._key].cast("int64")
        texts = raw.select(**found, **{RECORD: record, c.FILE: ibis.literal(self.name)})
        typed = server.store(classify(texts, step=server.fenced))
        reading = TableReading(server, raw, self._key, typed)
        first = texts.order_by(RECORD).limit(LOOKED_AT).select(*found).to_pandas()
        shown = {name: first[name].dropna().tolist() for name in found}
        reading.files.append(TableRows(self.name, self._rows(typed), shown))
        return reading

    def _check_key(self, raw: ir.Table) -> None:
        if self._key not in raw.columns or not raw[self._key].type().is_integer():
            raise InputError(
                f"no column {self._key!r} of whole numbers in {self.name}, which has: "
                f"{', '.join(list(raw.columns)[:30])}",
                "one that tells its rows apart",
                "Set LIFEMILES_KEY to its name: of two copies of a row the first one is used.",
            )

    def _rows(self, typed: ir.Table) -> int:
        counted = typed.aggregate(rows=typed.count(), keys=typed[RECORD].nunique()).to_pandas()
        rows, keys = (int(counted[name][0]) for name in ("rows", "keys"))
        if rows != keys:
            raise InputError(
                f"{rows:,} rows with {keys:,} different values of {self._key!r} in {self.name}",
                "another one in every row",
                "Set LIFEMILES_KEY to a column without repeats, such as the primary key.",
            )
        return rows


class TransactionTableDataset(AbstractDataset[None, TransactionTable]):
    """A table of raw transactions as a catalog entry; it is only ever read.

    Args:
        table: its name, or schema and name with a point between.
        key: its column of whole numbers that tell the rows apart, in the order of their arrival.
        url: `postgresql://user@host/database`; what is missing is PostgreSQL's own variables'.
        credentials: `url`, in the place of the other one, from Kedro's credentials.
        memory_limit: of the embedded database that takes the store-days, such as `1200MB`.
        metadata: for Kedro-Viz and other plugins.
    """

    def __init__(
        self,
        *,
        table: str,
        key: str = "id",
        url: str = "postgresql://",
        credentials: dict[str, str] | None = None,
        memory_limit: str = "1200MB",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._table, self._key, self._limit = table, key, memory_limit
        self._url = (credentials or {}).get("url", url)
        self.metadata = metadata

    @property
    def source(self) -> str:
        """The table, without the address of its database, which may hold a password."""
        return f"postgresql:{self._table}"

    def load(self) -> TransactionTable:
        """Hand out the table; it is looked into when it is read, for errors to be plain."""
        return TransactionTable(self._url, self._table, self._key, self._limit)

    def save(self, data: None) -> None:
        """Refuse: the raw transactions are not ours to write."""
        raise DatasetError(f"{self} is read only")

    def _describe(self) -> dict[str, Any]:  # without the address, which may hold a password
        return {"table": self._table, "key": self._key, "memory_limit": self._limit}
