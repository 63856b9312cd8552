"""Daily forecasts of loyalty-programme billings for every partner store."""

__version__ = "0.1.0"
