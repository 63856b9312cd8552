"""`FiguresDataset`: figures by name as JSON, of which some may not have been measured."""

from __future__ import annotations

import math
from collections.abc import Mapping

from kedro_datasets.json import JSONDataset

from lifemiles_forecasting.core.json_values import without_nan


class FiguresDataset(JSONDataset):
    """Kedro's `json.JSONDataset` for numbers: nan is null in the file, which has to be JSON.

    Example of a catalog entry::

        aggregate_metrics:
          type: lifemiles_forecasting.datasets.figures.FiguresDataset
          filepath: data/08_reporting/metrics.json
    """

    def load(self) -> dict[str, float]:
        """Read the figures."""
        return {k: math.nan if v is None else v for k, v in super().load().items()}

    def save(self, data: Mapping[str, float]) -> None:
        """Write the figures."""
        super().save(without_nan(data))
