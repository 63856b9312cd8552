"""A random forest per store on lags and rolling means, as the source system had it, but honest.

Every feature is known the evening before, so the horizon is walked day by day on the forest's own
forecasts; nothing is read from the day that is forecast.
"""

from __future__ import annotations

import contract
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestRegressor

LAGS = (1, 2, 3, 7, 14, 21, 28)
WINDOWS = (7, 14, 28)


def _known(y: np.ndarray, calendar: np.ndarray) -> np.ndarray:
    """Features of the day that follows `y`."""
    past = [y[-lag] for lag in LAGS]
    rolled = [y[-window:].mean() for window in WINDOWS] + [y[-28:].std()]
    return np.array([*past, *rolled, *calendar])


def _store(y: np.ndarray, calendar: np.ndarray, seed: int) -> np.ndarray:
    """Forecast of one store; `calendar` has a row for each day of history and horizon."""
    first = max(LAGS)
    rows = [_known(y[:day], calendar[day]) for day in range(first, len(y))]
    forest = RandomForestRegressor(100, random_state=seed).fit(rows, y[first:])
    walked = list(y)
    for day in calendar[len(y) :]:
        row = _known(np.array(walked[-first:]), day)
        walked.append(forest.predict(row[None])[0])
    return np.array(walked[len(y) :])


def forecast(task: contract.Task) -> pd.DataFrame:
    """One forest for every store that is alive."""
    history = task.alive()
    calendar = task.calendar.set_index("date")
    country = task.stores.set_index("store_id")["country"]
    jobs, ids = [], []
    for store, part in history.groupby("store_id"):
        y = part["y"].to_numpy()
        if len(y) <= 2 * max(LAGS):
            continue
        days = pd.DatetimeIndex(part["date"]).append(task.days)
        known = calendar[calendar["country"] == country[store]].loc[days, contract.HOLIDAY]
        dated = known.assign(**{name: getattr(days, name) for name in task.date_features})
        jobs.append(delayed(_store)(y, dated.to_numpy(), task.seed))
        ids.append(store)
    made = Parallel(n_jobs=task.threads)(jobs)
    return task.future(ids).assign(y_hat=np.concatenate(made))


if __name__ == "__main__":
    contract.main(forecast)
