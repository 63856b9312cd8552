"""AutoGluon-TimeSeries with what it trains itself: no pretrained model, nothing is downloaded.

Its default metric, the weighted quantile loss, makes the `mean` of its quantile models a median:
on noisy sales that lies far below the mean. So it is run with the squared error too.
"""

from __future__ import annotations

import tempfile

import contract
import pandas as pd
from autogluon.timeseries import TimeSeriesDataFrame, TimeSeriesPredictor

PRETRAINED = ["Chronos", "Chronos2", "Toto", "Toto2"]  # their weights would be downloaded
METRICS = {"AutoGluon": "WQL", "AutoGluon RMSE": "RMSE"}
SECONDS = 600  # per origin, wall


def forecast(task: contract.Task) -> pd.DataFrame:
    """Fit the preset's models within the time limit and take the mean of their ensemble."""
    columns = {"id_column": "store_id", "timestamp_column": "date"}
    history = TimeSeriesDataFrame.from_data_frame(task.with_calendar(task.alive()), **columns)
    future = task.with_calendar(task.future(history.item_ids))
    with tempfile.TemporaryDirectory() as folder:
        predictor = TimeSeriesPredictor(
            target="y",
            prediction_length=task.horizon,
            freq="D",
            eval_metric=METRICS[task.name],
            known_covariates_names=contract.HOLIDAY,
            path=folder,
        )
        predictor.fit(
            history,
            presets="high_quality",
            time_limit=SECONDS,
            excluded_model_types=PRETRAINED,
            random_seed=task.seed,
        )
        known = TimeSeriesDataFrame.from_data_frame(future, **columns)
        made = predictor.predict(history, known_covariates=known)["mean"]
    made = made.rename("y_hat").reset_index()
    return made.rename(columns={"item_id": "store_id", "timestamp": "date"})


if __name__ == "__main__":
    contract.main(forecast)
