"""Rows as JSON, CSV or aligned text for a terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lifemiles_forecasting.core.names import printable
from lifemiles_forecasting.core.spreadsheet import neutral

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]

# tables of few rows and many columns, with the column that tells the rows apart
_ON_ITS_SIDE = {"runs": "run", "versions": "alias"}
_WIDEST_CELL = 80  # signs; what is longer is in JSON and CSV


def as_json(tables: Tables) -> str:
    """One table as a list of objects, several by name."""
    content = next(iter(tables.values())) if len(tables) == 1 else tables
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def as_csv(tables: Tables) -> str:
    """The last table with a header; of several, that is the one of stores.

    An id that a spreadsheet would run has an apostrophe in front (`core.spreadsheet`).
    """
    rows = list(tables.values())[-1]
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _safe(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _safe(value: Any) -> Any:
    return neutral(value) if isinstance(value, str) else value


def as_table(tables: Tables) -> str:
    """Aligned columns, numbers to the right, a heading per table that has rows."""
    return "\n".join(
        f"{name.replace('_', ' ').capitalize()}\n{_table(name, rows)}\n"
        for name, rows in tables.items()
        if rows
    )


def _table(name: str, rows: Sequence[Row]) -> str:
    key = _ON_ITS_SIDE.get(name, "")
    if key in rows[0]:
        heads = [key, *(_cell(row[key]) for row in rows)]
        fields = [field for field in rows[0] if field != key]
        cells = [[field, *(_cell(row[field]) for row in rows)] for field in fields]
        return _aligned(heads, cells, [False] * len(heads))
    heads = list(rows[0])
    cells = [[_short(_cell(row[head])) for head in heads] for row in rows]
    right = [any(isinstance(row[head], int | float) for row in rows) for head in heads]
    return _aligned(heads, cells, right)


def _aligned(heads: list[str], cells: list[list[str]], right: list[bool]) -> str:
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    lines = [heads, ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.3f}"
    return printable(str(value))


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST_CELL else text[: _WIDEST_CELL - 3] + "..."


RENDERERS = {"table": as_table, "json": as_json, "csv": as_csv}
