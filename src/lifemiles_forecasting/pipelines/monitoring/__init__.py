"""Past forecasts against what happened, and the stores that need training anew."""

from lifemiles_forecasting.pipelines.monitoring.pipeline import create_pipeline

__all__ = ["create_pipeline"]
