"""What a run is worth: metrics by store, figures and the report."""

from lifemiles_forecasting.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
