"""mlforecast: one recursive boosting model over all stores, scaled, with calendar and holidays.

Without the lag of a year (it drops the first year of rows) and without a logarithm (it biases days
of zero). Two sizes of each library, as no single one suits both a long clean panel and a short
noisy one.
"""

from __future__ import annotations

import contract
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean, RollingStd, SeasonalRollingMean
from mlforecast.target_transforms import LocalStandardScaler

LAGS = [1, 2, 3, 7, 14, 21, 28, 35, 42, 56]
TRANSFORMS = [
    RollingMean(7),
    RollingMean(28),
    RollingStd(28),
    SeasonalRollingMean(season_length=7, window_size=4),
    SeasonalRollingMean(season_length=7, window_size=8),
]
SIZES = {
    "LightGBM 500 x 63": {"n_estimators": 500, "num_leaves": 63, "learning_rate": 0.05},
    "LightGBM 200 x 8": {
        "n_estimators": 200,
        "num_leaves": 8,
        "learning_rate": 0.05,
        "min_child_samples": 200,
    },
    "CatBoost 1000 x 6": {"iterations": 1000, "depth": 6},
    "CatBoost 300 x 4": {"iterations": 300, "depth": 4, "learning_rate": 0.05},
}


def _model(task: contract.Task) -> object:
    if task.name.startswith("LightGBM"):
        from lightgbm import LGBMRegressor

        rows = {"subsample": 0.8, "subsample_freq": 1, "colsample_bytree": 0.8}
        threads = {"n_jobs": task.threads, "random_state": task.seed, "verbosity": -1}
        return LGBMRegressor(**SIZES[task.name], **rows, **threads)
    from catboost import CatBoostRegressor

    threads = {"thread_count": task.threads, "random_seed": task.seed}
    quiet = {"verbose": False, "allow_writing_files": False}
    return CatBoostRegressor(**SIZES[task.name], **threads, **quiet)


def forecast(task: contract.Task) -> pd.DataFrame:
    """Fit on every store that exists (that beat leaving silent ones out) and walk the horizon."""
    history = task.with_calendar(task.history)
    partner = task.stores.set_index("store_id")["partner_code"].astype("category").cat.codes
    history["partner"] = history["store_id"].map(partner)
    booster = MLForecast(
        models={"y_hat": _model(task)},
        freq="D",
        lags=LAGS,
        lag_transforms={1: TRANSFORMS},
        date_features=task.date_features,
        target_transforms=[LocalStandardScaler()],
        num_threads=task.threads,
    )
    columns = {"id_col": "store_id", "time_col": "date"}
    booster.fit(history, **columns, target_col="y", static_features=["partner"])
    known = booster.ts.uids
    future = task.with_calendar(task.future(known))
    return booster.predict(task.horizon, X_df=future)


if __name__ == "__main__":
    contract.main(forecast)
