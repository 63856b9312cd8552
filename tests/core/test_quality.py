"""Quality tiers, the row per store and the figures of a run, against slow forms by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from lifemiles_forecasting.core.config import QualityTier, ReportSettings
from lifemiles_forecasting.core.metrics import METRICS
from lifemiles_forecasting.core.quality import (
    TestWindow,
    aggregate,
    assign_quality,
    candidate_accuracy,
    store_metrics,
)
from lifemiles_forecasting.core.synthetic_run import synthetic_run

TIERS = {
    "EXCELENTE": QualityTier(min_r2=0.8, max_smape=10),
    "BUENO": QualityTier(min_r2=0.6, max_smape=20),
    "REGULAR": QualityTier(min_r2=0.4, max_smape=30),
}
SETTINGS = ReportSettings(tiers=TIERS, metrics=("mae", "rmse", "r2", "smape", "wape"))
CONTRACT = {
    *("total_stores_attempted", "successful_models", "success_rate", "avg_r2", "avg_smape"),
    *("std_r2", "std_smape", "best_r2", "best_smape", "r2_target_achieved"),
    *("smape_target_achieved", "median_r2", "wape", "wape_28d", "rmse", "mase", "bias"),
    *("coverage_80", "coverage_95", "naive_wape", "skill_vs_naive", "train_seconds"),
    *(
        f"quality_{t}_{k}"
        for t in ["excelente", "bueno", "regular", "pobre"]
        for k in ("count", "pct")
    ),
}


@pytest.fixture(scope="module")
def frames():
    return synthetic_run(12)


@pytest.fixture(scope="module")
def table(frames):
    return store_metrics(frames, SETTINGS)


def test_tiers_include_their_bounds():
    rows = [(0.8, 10), (0.8, 10.01), (0.6, 20), (0.4, 30), (0.39, 5), (0.99, 31), (math.nan, 5)]
    metrics = pd.DataFrame(rows, columns=["test_r2", "test_smape"])
    expected = ["EXCELENTE", "BUENO", "BUENO", "REGULAR", "POBRE", "POBRE", "POBRE"]
    assert assign_quality(metrics, TIERS).tolist() == expected


def test_every_store_has_a_row(frames, table):
    assert table["store_id"].tolist() == sorted(frames.stores["store_id"])
    by_id = table.set_index("store_id")
    failed, short, dormant = frames.stores["store_id"][:3]
    assert by_id.loc[failed, ["attempted", "status", "quality"]].tolist() == [
        True,
        "failed",
        "POBRE",
    ]
    assert by_id.loc[failed, "reason"] == "ValueError: all values equal"
    assert by_id.loc[short, ["attempted", "status", "quality"]].tolist() == [
        False,
        "short_history",
        "",
    ]
    assert math.isnan(by_id.loc[short, "test_wape"])
    assert by_id.loc[dormant, "forecast_total"] == 0


def test_store_row_equals_a_slow_form(frames, table):
    store = frames.stores["store_id"][5]
    row = table.set_index("store_id").loc[store]
    test = frames.backtest.query("store_id == @store and origin == origin.max()")
    blend = test[test["candidate"] == "blend"].sort_values("date")
    naive = test[test["candidate"] == "seasonal_naive"]
    assert row["test_r2"] == pytest.approx(r2_score(blend["y"], blend["y_hat"]))
    errors = (naive["y"] - naive["y_hat"]).abs().sum()
    assert row["naive_wape"] == pytest.approx(100 * errors / naive["y"].sum())
    assert row["test_forecast_total"] == pytest.approx(blend["y_hat"].sum())
    past = frames.panel.query("store_id == @store and date < @blend.date.min()")["y"].to_numpy()
    expected = (blend["y"] - blend["y_hat"]).abs().mean() / np.abs(past[7:] - past[:-7]).mean()
    assert row["test_mase"] == pytest.approx(expected)
    bounds = frames.test_intervals.query("store_id == @store").merge(blend, on=["store_id", "date"])
    inside = bounds["y"].between(bounds["lower_80"], bounds["upper_80"])
    assert row["coverage_80"] == pytest.approx(100 * inside.mean())
    assert row.filter(like="weight_").sum() == pytest.approx(1)


def test_aggregate_has_exactly_the_names_of_the_contract(frames, table):
    out = aggregate(table, frames, SETTINGS, train_seconds=12.5)
    assert set(out) == CONTRACT
    assert all(type(value) is float for value in out.values())
    assert out["train_seconds"] == 12.5


def test_aggregate_counts_attempted_stores_only(frames, table):
    out = aggregate(table, frames, SETTINGS, 0.0)
    assert out["total_stores_attempted"] == 10
    assert out["successful_models"] == 9
    assert out["success_rate"] == 90
    tiers = ("excelente", "bueno", "regular", "pobre")
    assert sum(out[f"quality_{tier}_count"] for tier in tiers) == 10
    assert sum(out[f"quality_{tier}_pct"] for tier in tiers) == pytest.approx(100)


def test_aggregate_equals_a_slow_form(frames, table):
    out = aggregate(table, frames, SETTINGS, 0.0)
    test = frames.backtest[frames.backtest["origin"] == frames.backtest["origin"].max()]
    blend = test[test["candidate"] == "blend"]
    error = blend["y_hat"] - blend["y"]
    assert out["wape"] == pytest.approx(100 * error.abs().sum() / blend["y"].sum())
    assert out["bias"] == pytest.approx(100 * error.sum() / blend["y"].sum())
    totals = blend.groupby("store_id")[["y", "y_hat"]].sum()
    wrong = (totals["y_hat"] - totals["y"]).abs().sum()
    assert out["wape_28d"] == pytest.approx(100 * wrong / totals["y"].sum())
    assert out["skill_vs_naive"] == pytest.approx(1 - out["wape"] / out["naive_wape"])
    assert out["best_smape"] == table["test_smape"].min()
    assert out["std_r2"] == pytest.approx(np.nanstd(table["test_r2"]))


def test_targets_are_flags_of_the_averages(frames, table):
    easy = SETTINGS.model_copy(update={"target_r2": -1e9, "target_smape": 200.0})
    hard = SETTINGS.model_copy(update={"target_r2": 1.0, "target_smape": 0.0})
    names = ["r2_target_achieved", "smape_target_achieved"]
    assert [aggregate(table, frames, easy, 0.0)[name] for name in names] == [1, 1]
    assert [aggregate(table, frames, hard, 0.0)[name] for name in names] == [0, 0]


def test_a_new_metric_is_one_name_in_the_configuration(frames, monkeypatch):
    def worst_day(y, y_hat, *, history=None):
        return np.abs(y_hat - y).max(axis=-1)

    monkeypatch.setitem(METRICS, "worst_day", worst_day)
    settings = SETTINGS.model_copy(update={"metrics": ("wape", "worst_day")})
    table = store_metrics(frames, settings)
    out = aggregate(table, frames, settings, 0.0)
    assert set(out) - CONTRACT == {"avg_worst_day"}
    assert out["avg_worst_day"] == table["test_worst_day"].mean()


def test_a_run_without_attempted_stores_is_no_error(frames):
    none = replace(frames, attempted=frames.attempted.iloc[:0])
    table = store_metrics(none, SETTINGS)
    out = aggregate(table, none, SETTINGS, 0.0)
    assert set(table["quality"]) == {""}
    assert out["total_stores_attempted"] == 0
    assert out["r2_target_achieved"] == 0
    assert math.isnan(out["wape"])


def test_a_candidate_may_skip_a_store_but_no_day(frames):
    store, day = frames.stores["store_id"][5], frames.backtest["date"].max()
    local = frames.backtest["candidate"] == "local_catboost"
    of_store = frames.backtest["store_id"] == store
    TestWindow.of(frames.backtest[~(local & of_store)])
    gap = frames.backtest[~(local & of_store & (frames.backtest["date"] == day))]
    with pytest.raises(ValueError, match="candidate 'local_catboost' misses days"):
        TestWindow.of(gap)


def test_store_that_opened_inside_the_window_is_left_out(frames):
    store = frames.stores["store_id"][5]
    young = frames.backtest.copy()
    opened = young["date"].max() - pd.Timedelta(days=5)
    young.loc[(young["store_id"] == store) & (young["date"] < opened), "y"] = math.nan
    assert store not in TestWindow.of(young).store_ids
    table = store_metrics(replace(frames, backtest=young), SETTINGS).set_index("store_id")
    assert table.loc[store, "quality"] == "POBRE"


def test_test_window_value_error_when_there_is_no_blend(frames):
    with pytest.raises(ValueError, match="expected 'blend' too"):
        TestWindow.of(frames.backtest[frames.backtest["candidate"] != "blend"])
    with pytest.raises(ValueError, match="found a backtest without rows"):
        TestWindow.of(frames.backtest.iloc[:0])


def test_candidates_are_compared_on_the_stores_that_all_forecast(frames):
    store = frames.stores["store_id"][5]
    rows = frames.backtest
    part = rows[~((rows["candidate"] == "ridge") & (rows["store_id"] == store))]
    table = candidate_accuracy(part)
    assert set(table["stores"]) == {9}
    assert len(table) == 3 * 6
    last = table[table["origin"] == table["origin"].max()].set_index("candidate")
    both = rows[(rows["origin"] == rows["origin"].max()) & (rows["store_id"] != store)]
    naive = both[both["candidate"] == "seasonal_naive"]
    errors = (naive["y"] - naive["y_hat"]).abs().sum()
    assert last.loc["seasonal_naive", "wape"] == pytest.approx(100 * errors / naive["y"].sum())
    assert last["wape"].is_monotonic_increasing


def test_candidates_are_compared_without_looking_stores_up(frames, monkeypatch):
    """By name, once per candidate and window: half of the seconds at 10,000 stores."""
    looked_up, isin = [], pd.Index.isin
    monkeypatch.setattr(pd.Index, "isin", lambda *given: looked_up.append(1) or isin(*given))
    candidate_accuracy(frames.backtest)
    assert looked_up == []


def test_inputs_are_not_modified(frames):
    copies = {name: getattr(frames, name).copy() for name in frames.names()}
    aggregate(store_metrics(frames, SETTINGS), frames, SETTINGS, 0.0)
    for name, copy in copies.items():
        pd.testing.assert_frame_equal(getattr(frames, name), copy)
