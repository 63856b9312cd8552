"""Proof on a run's own data that nothing computed for an origin reads the days after it."""

from lifemiles_forecasting.pipelines.leak_audit.pipeline import create_pipeline

__all__ = ["create_pipeline"]
