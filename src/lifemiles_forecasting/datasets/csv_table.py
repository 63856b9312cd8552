"""`CsvTableDataset`: a CSV file for people, whose cells no spreadsheet runs."""

from __future__ import annotations

import copy
import csv
from typing import TYPE_CHECKING

from kedro_datasets.pandas import CSVDataset

from lifemiles_forecasting.core.spreadsheet import has_text, neutral_table, original_table

if TYPE_CHECKING:
    import pandas as pd


class CsvTableDataset(CSVDataset):
    """Kedro's `pandas.CSVDataset`, with an apostrophe before what a spreadsheet would run.

    What is loaded is what was saved: the apostrophes are taken off again.

    Example of a catalog entry::

        coverage:
          type: lifemiles_forecasting.datasets.csv_table.CsvTableDataset
          filepath: data/08_reporting/coverage.csv
          save_args:
            index: false
    """

    def load(self) -> pd.DataFrame:
        """Read the table."""
        return original_table(super().load())

    def save(self, data: pd.DataFrame) -> None:
        """Write the table."""
        table = neutral_table(data)
        written = self
        if has_text(table, "\r"):  # ends a line for every reader, and Python 3.11 does not quote it
            written = copy.copy(self)
            written._save_args = {**self._save_args, "quoting": csv.QUOTE_NONNUMERIC}
        super(CsvTableDataset, written).save(table)
