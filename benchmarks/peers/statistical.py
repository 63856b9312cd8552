"""statsforecast: AutoETS and DynamicOptimizedTheta, one model per store, season of a week."""

from __future__ import annotations

import contract
import pandas as pd
from statsforecast import StatsForecast
from statsforecast.models import AutoETS, DynamicOptimizedTheta, SeasonalNaive

SEASON = 7
MODELS = {
    # ZZZ: error, trend and season are chosen by AICc; on series with zeros all that is left to
    # choose from is additive
    "AutoETS": AutoETS(season_length=SEASON, model="ZZZ"),
    "DynamicOptimizedTheta": DynamicOptimizedTheta(season_length=SEASON),
}


def forecast(task: contract.Task) -> pd.DataFrame:
    """Fit every store that exists; a series that is too short falls back to its last week."""
    names = {"store_id": "unique_id", "date": "ds"}
    frame = task.history.rename(columns=names)
    fitted = StatsForecast(
        models=[MODELS[task.name]],
        freq="D",
        n_jobs=task.threads,
        fallback_model=SeasonalNaive(season_length=SEASON),
    )
    made = fitted.forecast(df=frame, h=task.horizon)
    made = made.rename(columns={task.name: "y_hat", "unique_id": "store_id", "ds": "date"})
    return made.dropna(subset="y_hat")


if __name__ == "__main__":
    contract.main(forecast)
