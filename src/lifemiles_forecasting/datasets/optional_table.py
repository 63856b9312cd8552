"""`OptionalTableDataset`: a CSV file that an earlier command may have left, or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from lifemiles_forecasting.core.spreadsheet import original_table

if TYPE_CHECKING:
    import pandas as pd


class OptionalTableDataset(AbstractDataset[None, "pd.DataFrame | None"]):
    """Loads a CSV file; None where there is none.

    Example of a catalog entry::

        last_drift:
          type: lifemiles_forecasting.datasets.optional_table.OptionalTableDataset
          filepath: data/08_reporting/monitoring/drift.csv

    Args:
        filepath: the file.
        dtype: types by column, for codes that look like numbers.
        metadata: for plugins such as kedro-viz.
    """

    def __init__(
        self,
        filepath: str,
        dtype: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._path, self._dtype = Path(filepath), dtype
        self.metadata = metadata

    def load(self) -> pd.DataFrame | None:
        """Read the file, if it is there; a partner called NA stays one."""
        import pandas as pd

        if not self._exists():
            return None
        table = pd.read_csv(self._path, dtype=self._dtype, keep_default_na=False, na_values=[""])
        return original_table(table)

    def save(self, data: None) -> NoReturn:
        """Refuse: whoever made the file writes it.

        Raises:
            DatasetError: always.
        """
        raise DatasetError(f"{self._path} is read only here")

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
