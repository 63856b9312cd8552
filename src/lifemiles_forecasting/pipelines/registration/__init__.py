"""The model of all stores, and whether it takes charge."""

from lifemiles_forecasting.pipelines.registration.pipeline import create_pipeline

__all__ = ["create_pipeline"]
