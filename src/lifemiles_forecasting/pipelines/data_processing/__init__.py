"""Raw transactions to the daily panel."""

from lifemiles_forecasting.pipelines.data_processing.pipeline import create_pipeline

__all__ = ["create_pipeline"]
