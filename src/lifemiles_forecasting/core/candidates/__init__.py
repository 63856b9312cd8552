"""Forecasting methods behind one interface: closed forms and residual learners."""
