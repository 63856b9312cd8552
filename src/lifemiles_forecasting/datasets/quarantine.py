"""The way from rows that cannot be used back to their lines and raw values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.datasets import csv_records
from lifemiles_forecasting.datasets.engine import FileRows
from lifemiles_forecasting.datasets.reading import Source

if TYPE_CHECKING:
    import pandas as pd


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
    names = [
        f"column {i + 1}" if not name or name in file.header[:i] else name
        for i, name in enumerate(file.header)
    ]
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
