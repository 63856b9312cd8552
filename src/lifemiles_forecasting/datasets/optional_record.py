"""`OptionalRecordDataset`: a JSON file that an earlier run may have left, or not."""

from __future__ import annotations

from typing import Any

from kedro_datasets.json import JSONDataset

from lifemiles_forecasting.core.json_values import without_nan


class OptionalRecordDataset(JSONDataset):
    """Saves a JSON file like `json.JSONDataset`, nan as null; loads None where there is none.

    Example of a catalog entry::

        gate_verdict:
          type: lifemiles_forecasting.datasets.optional_record.OptionalRecordDataset
          filepath: data/08_reporting/gate.json
    """

    def load(self) -> Any:
        """Read the file, if it is there."""
        return super().load() if self._exists() else None

    def save(self, data: Any) -> None:
        """Write the file."""
        super().save(without_nan(data))
