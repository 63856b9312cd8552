"""Forecasts of a registered model from new transactions, without training."""

from lifemiles_forecasting.pipelines.forecasting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
