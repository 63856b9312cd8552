"""What one worker of Spark does with one file; it imports nothing that this does not need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.transactions import RECORD
from lifemiles_forecasting.datasets.csv_records import Unreadable
from lifemiles_forecasting.datasets.engine import PER_FILE, Engine, Form
from lifemiles_forecasting.datasets.quarantine import line_numbers, raw_values
from lifemiles_forecasting.datasets.reading import Columns

if TYPE_CHECKING:
    import ibis.expr.types as ir

MEMBER = "member_id"  # which nobody needs, and no file of ours may hold


@dataclass(frozen=True)
class SparkFile:
    """What a worker has read of a file: see `reading.Source`.

    Attributes:
        path: of the file.
        parquet: its readable rows as text: `record, file` and the known columns.
        unreadable: the records that could not be read.
    """

    name: str
    rows: int
    first: Mapping[str, list[str]]
    path: Path
    parquet: Path
    known: tuple[str, ...]
    unreadable: Sequence[Unreadable]


def _without_members(texts: ir.Table) -> ir.Table:
    """The known columns, but for who has bought."""
    return texts.drop(*{MEMBER} & {*texts.columns})


def read_file(
    numbered: tuple[int, Path], form: Form, columns: Columns, scratch: Path, memory_limit: str
) -> SparkFile | InputError:
    """Read one file on a worker, and write its rows where all workers find them."""
    import ibis

    place, path = numbered
    engine = Engine(memory_limit)
    try:
        file = engine.read(path, form, columns, _without_members)
    except InputError as error:
        return error
    record = file.typed.rowid() + place * PER_FILE
    rows = file.typed.mutate(**{RECORD: record, c.FILE: ibis.literal(file.name)})
    parquet = scratch / f"texts_{place}.parquet"
    engine.connection.to_parquet(rows, parquet)
    known = tuple(file.typed.columns)
    return SparkFile(file.name, file.rows, file.first, path, parquet, known, file.unreadable)


def look_up(
    wanted: tuple[Path, Any], form: Form, memory_limit: str
) -> tuple[Sequence[int], Sequence[str]]:
    """Line numbers and raw values of some rows of a file, on a worker."""
    path, rows = wanted
    engine = Engine(memory_limit)  # its mended copies go with it
    file = engine.read(path, form, lambda *_: {"first": 0}, lambda texts: texts)
    return line_numbers(file, rows), raw_values(file, rows)
