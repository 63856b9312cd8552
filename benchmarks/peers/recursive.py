"""skforecast: ForecasterRecursiveMultiSeries with LightGBM, calendar and holidays as exog."""

from __future__ import annotations

import warnings

import contract
import pandas as pd
from lightgbm import LGBMRegressor
from skforecast.preprocessing import RollingFeatures
from skforecast.recursive import ForecasterRecursiveMultiSeries
from sklearn.preprocessing import StandardScaler

LAGS = [1, 2, 3, 7, 14, 21, 28, 35, 42, 56]


def _exog(task: contract.Task, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Calendar and holiday columns of every store, by day."""
    frame = task.with_calendar(frame[["store_id", "date"]])
    for name in task.date_features:
        frame[name] = getattr(frame["date"].dt, name)
    return _by_store(frame)


def _by_store(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {
        store: part.drop(columns="store_id").set_index("date").asfreq("D")
        for store, part in frame.groupby("store_id")
    }


def forecast(task: contract.Task) -> pd.DataFrame:
    """Fit on every store that is alive and longer than the lags, and walk day by day."""
    warnings.filterwarnings("ignore", module="skforecast")
    history = task.alive()
    history = history[history.groupby("store_id")["y"].transform("size") > 2 * max(LAGS)]
    learner = ForecasterRecursiveMultiSeries(
        estimator=LGBMRegressor(
            n_estimators=500,
            num_leaves=63,
            learning_rate=0.05,
            n_jobs=task.threads,
            random_state=task.seed,
            verbosity=-1,
        ),
        lags=LAGS,
        window_features=RollingFeatures(stats=["mean", "mean", "std"], window_sizes=[7, 28, 28]),
        encoding="ordinal_category",
        transformer_series=StandardScaler(),
    )
    series = {store: part["y"] for store, part in _by_store(history).items()}
    learner.fit(series=series, exog=_exog(task, history))
    future = _exog(task, task.future(series))
    made = learner.predict(steps=task.horizon, exog=future)
    made = made.rename(columns={"level": "store_id", "pred": "y_hat"})
    return made.rename_axis("date").reset_index()


if __name__ == "__main__":
    contract.main(forecast)
