"""Daily panel to backtest, weights, forecasts and tracked store runs."""

from lifemiles_forecasting.pipelines.modeling.pipeline import create_pipeline

__all__ = ["create_pipeline"]
