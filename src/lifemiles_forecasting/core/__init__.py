"""Forecasting itself: no Kedro, MLflow or Plotly, and no file is opened here."""
