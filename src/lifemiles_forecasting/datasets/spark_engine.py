"""The folder of raw transactions on Spark: files are read side by side, then sorted out by Spark.

Spark's own reader of CSV has no line numbers and takes a stray quote for the begin of a value that
ends somewhere later. So each file is read where it is by the embedded database of one of Spark's
workers, damage and all, and handed to Spark as Parquet, which it can split. What needs all files
(verdicts, duplicates, reversals, sums) is Spark's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import ConfigError, InputError
from lifemiles_forecasting.core.panel import naming_records
from lifemiles_forecasting.core.transactions import RECORD, TEXTS, flawed_rows
from lifemiles_forecasting.datasets.engine import PER_FILE, Engine, Form
from lifemiles_forecasting.datasets.quarantine import file_quarantine
from lifemiles_forecasting.datasets.reading import Classify, Columns, Reading, Step
from lifemiles_forecasting.datasets.scratch import Scratch
from lifemiles_forecasting.datasets.spark_tasks import SparkFile, look_up, read_file
from lifemiles_forecasting.datasets.transactions import TransactionFiles, TransactionFilesDataset

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    from ibis.backends.pyspark import Backend
    from pyspark.sql import SparkSession

ONE_MACHINE = "local[*]"
ALONE = {  # nobody else talks to a session of one machine, and it has few cores
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "8",
}
QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
T, R = TypeVar("T"), TypeVar("R")


class Cluster:
    """A Spark session, and the embedded database for what is fetched from there."""

    def __init__(self, session: SparkSession, scratch: str | None, memory_limit: str) -> None:
        import ibis

        self._session, self._engine = session, Engine(memory_limit)
        self.memory_limit = memory_limit
        self.connection: Backend = ibis.pyspark.connect(session)
        self._scratch = Scratch(scratch)
        self._tables = 0

    @property
    def scratch(self) -> Path:
        """Where its files are."""
        return self._scratch.path

    def each(self, function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        """What a function gives for each task, on all workers, in the order of the tasks."""
        if not tasks:
            return []
        context = self._session.sparkContext
        return context.parallelize(tasks, len(tasks)).map(function).collect()

    def parquet(self, paths: Sequence[Path]) -> ir.Table:
        """Parquet files that all workers find."""
        self._tables += 1
        view = f"read_{self._tables}"
        self._session.read.parquet(*map(str, paths)).createOrReplaceTempView(view)
        return self.connection.table(view)

    def store(self, expression: ir.Table) -> ir.Table:
        """Write an expression into Parquet files."""
        return self.parquet([self._written(expression)])

    def fetch(self, expression: ir.Table, finish: Step) -> ir.Table:
        """Write an expression into Parquet files, and take them into the embedded database."""
        written = str(self._written(expression) / "*.parquet")
        rows = self._engine.connection.read_parquet(written, hive_partitioning=False)
        return self._engine.store(finish(rows))

    def _written(self, expression: ir.Table) -> Path:
        self._tables += 1
        folder = self.scratch / f"kept_{self._tables}"
        self.connection.to_parquet(expression, folder)
        return folder


class SparkReading(Reading):
    """The files of a folder as rows of Spark."""

    def __init__(
        self,
        cluster: Cluster,
        files: list[SparkFile],
        form: Form,
        classify: Classify,
        not_read: Sequence[str],
    ) -> None:
        import ibis

        self._cluster, self._form, self.files = cluster, form, files
        self.not_read = not_read
        alike: dict[tuple[str, ...], list[Path]] = {}
        for file in files:
            alike.setdefault(file.known, []).append(file.parquet)
        parts = [classify(cluster.parquet(paths)) for paths in alike.values()]
        self.rows = cluster.store(ibis.union(*parts))

    def keep(self, expression: ir.Table) -> ir.Table:
        """As every reading does it."""
        return self._cluster.store(expression)

    def fetch(self, expression: ir.Table, finish: Step) -> ir.Table:
        """As every reading does it."""
        return self._cluster.fetch(expression, finish)

    def naming_rows(self, days: ir.Table) -> ir.Table:
        """As every reading does it."""
        import ibis

        records = ibis.memtable(naming_records(days).to_pandas())
        named = self.rows.semi_join(records, RECORD).select(RECORD, TEXTS)
        return self._cluster.fetch(named, lambda rows: rows)

    def quarantine(self, rejected: ir.Table) -> pd.DataFrame:
        """As every reading does it."""
        found = self.fetch(flawed_rows(self.rows, rejected), lambda rows: rows.order_by(RECORD))
        flawed = found.to_pandas()
        place = flawed[RECORD] // PER_FILE
        records = [flawed[place == i] for i in range(len(self.files))]
        tasks = [
            (file.path, part[RECORD].to_numpy() % PER_FILE)
            for file, part in zip(self.files, records, strict=True)
            if len(part)
        ]
        find = partial(look_up, form=self._form, memory_limit=self._cluster.memory_limit)
        known = iter(self._cluster.each(find, tasks))
        looked_up = (next(known) if len(part) else ([], []) for part in records)
        return file_quarantine(
            (file, part[c.REASON], *values)
            for file, part, values in zip(self.files, records, looked_up, strict=True)
        )


def _session(master: str, settings: Mapping[str, str]) -> SparkSession:
    try:
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError:
        raise ConfigError(
            "no Spark", "the package pyspark", 'pip install "lifemiles-forecasting[spark]"'
        ) from None
    # workers of the same machine run what this process runs
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("LifeMiles forecasting").master(master)
    alone = ALONE if master.startswith("local") else {}
    for name, value in {**QUIET, **alone, **settings}.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except PySparkRuntimeError as error:
        raise ConfigError(
            f"a Spark that does not start ({error})",
            "Java 17 or 21, and a master that answers",
            "Set JAVA_HOME, or LIFEMILES_SPARK_MASTER.",
        ) from None


class SparkFiles(TransactionFiles):
    """A folder of CSV files that Spark reads, not looked into yet.

    Args:
        folder: see `TransactionFiles`; every worker must find it under this path.
        memory_limit: of the embedded database of each worker's process.
        master: of Spark, such as `local[*]` or `spark://host:7077`.
        settings: of the Spark session.
        scratch: folder that every worker finds under this path; None for one of this machine.
    """

    def __init__(
        self,
        folder: Path,
        memory_limit: str,
        master: str,
        settings: Mapping[str, str],
        scratch: str | None,
    ) -> None:
        super().__init__(folder, memory_limit)
        self._master, self._settings, self._scratch = master, settings, scratch

    def read(self, separator: str, encoding: str, columns: Columns, classify: Classify) -> Reading:
        """Read every file into typed rows, in the order of their names; see `TransactionFiles`."""
        paths, form = self.paths(), Form(separator, encoding)
        session = _session(self._master, self._settings)
        cluster = Cluster(session, self._scratch, self._memory_limit)
        read = partial(
            read_file,
            form=form,
            columns=columns,
            scratch=cluster.scratch,
            memory_limit=self._memory_limit,
        )
        found = cluster.each(read, [(i, path.absolute()) for i, path in enumerate(paths)])
        files = [file for file in found if isinstance(file, SparkFile)]
        for error in found:
            if isinstance(error, InputError):
                raise error
        return SparkReading(cluster, files, form, classify, self.not_read())


class SparkFilesDataset(TransactionFilesDataset):
    """The folder of raw transactions, read by Spark, as a catalog entry; it is only ever read.

    Args:
        filepath: see `TransactionFilesDataset`.
        master: of Spark.
        settings: of the Spark session, by their names.
        scratch: folder for what Spark keeps, which every worker finds under this path.
        memory_limit: of the embedded database of each worker's process, such as `1200MB`.
        metadata: for Kedro-Viz and other plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        master: str = ONE_MACHINE,
        settings: dict[str, str] | None = None,
        scratch: str | None = None,
        memory_limit: str = "1200MB",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath=filepath, memory_limit=memory_limit, metadata=metadata)
        self._master, self._settings, self._scratch = master, settings or {}, scratch

    def load(self) -> SparkFiles:
        """Hand out the folder; it is looked into when it is read, for errors to be plain."""
        return SparkFiles(
            self._filepath, self._memory_limit, self._master, self._settings, self._scratch
        )

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "master": self._master}
