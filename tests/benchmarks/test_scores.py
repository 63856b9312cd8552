import numpy as np
import pandas as pd
import pytest
import scores

from lifemiles_forecasting.core.candidates.closed import base
from lifemiles_forecasting.core.synthetic import generate_series

HORIZON = 28


@pytest.fixture(scope="module")
def series():
    return generate_series(n_stores=8, n_days=200, seed=3).series


def forecasts(series, method: str = "m", factor: float = 1.2) -> pd.DataFrame:
    """Two windows of forecasts that are off by a factor."""
    parts = []
    for back in (56, 28):
        column = len(series.dates) - 1 - back
        days = slice(column + 1, column + 1 + HORIZON)
        ids, dates = np.meshgrid(series.store_ids, series.dates[days], indexing="ij")
        frame = pd.DataFrame({"store_id": ids.ravel(), "date": dates.ravel()})
        frame["y_hat"] = factor * series.y[:, days].ravel()
        parts.append(frame.assign(method=method, origin=pd.Timestamp(series.dates[column])))
    return pd.concat(parts, ignore_index=True)


def test_figures_equal_those_of_plain_pandas(series):
    made = forecasts(series)
    figures = scores.table(scores.store_windows(series, made, HORIZON)).loc["m"]
    error = made["y_hat"] - made["y_hat"] / 1.2
    truth = made["y_hat"] / 1.2
    by_store = made.assign(error=error, square=error**2, y=truth).groupby(["store_id", "origin"])
    assert figures["WAPE"] == pytest.approx(100 * error.abs().sum() / truth.sum())
    assert figures["bias"] == pytest.approx(100 * error.sum() / truth.sum())
    totals = by_store[["error", "y"]].sum()
    assert figures["WAPE28"] == pytest.approx(100 * totals["error"].abs().sum() / totals["y"].sum())
    assert figures["RMSE"] == pytest.approx(np.sqrt(by_store["square"].mean()).mean())


def test_perfect_forecast_has_no_error(series):
    figures = scores.table(scores.store_windows(series, forecasts(series, factor=1.0), HORIZON))
    assert figures.loc["m", ["WAPE", "RMSE", "SMAPE", "MASE", "bias", "WAPE28"]].tolist() == [0] * 6
    assert figures.loc["m", "R2"] == 1


def test_every_method_is_scored_on_the_same_store_windows(series):
    first = forecasts(series, "first")
    second = forecasts(series, "second").query("store_id != @series.store_ids[0]")
    windows = scores.store_windows(series, pd.concat([first, second]), HORIZON)
    pairs = {
        method: set(zip(part["store_id"], part["origin"], strict=True))
        for method, part in windows.groupby("method")
    }
    assert pairs["first"] == pairs["second"]


def test_a_gap_is_filled_by_the_base_and_counted(series):
    gone = series.store_ids[1]
    windows = scores.store_windows(series, forecasts(series).query("store_id != @gone"), HORIZON)
    filled = windows[windows["filled"]]
    assert set(filled["store_id"]) == {gone} and len(filled) == 2
    column = len(series.dates) - 1 - 28
    expected = base(series.until(column + 1), HORIZON)[1] - series.y[1, column + 1 :]
    last = filled.sort_values("origin").iloc[-1]
    assert last["absolute"] == pytest.approx(np.abs(expected).sum())


def test_a_forecast_below_zero_is_cut(series):
    cut = scores.store_windows(series, forecasts(series, factor=-5.0), HORIZON)
    zero = scores.store_windows(series, forecasts(series, factor=0.0), HORIZON)
    pd.testing.assert_frame_equal(cut, zero)


def test_a_store_that_had_not_started_is_not_scored(series):
    late = series.y.copy()
    late[0, : len(series.dates) - 40] = np.nan
    young = type(series)(late, series.dates, series.stores)
    windows = scores.store_windows(young, forecasts(series), HORIZON)
    assert (windows["store_id"] == series.store_ids[0]).sum() == 1


def test_by_window_shows_wape_and_bias(series):
    text = scores.by_window(scores.store_windows(series, forecasts(series), HORIZON))
    assert set(text.loc["m"]) == {"20.00 / +20.0"}
