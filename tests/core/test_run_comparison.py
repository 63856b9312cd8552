"""Two runs side by side: who is better, against pandas, and when the sides are swapped."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifemiles_forecasting.core.comparison import (
    SAME,
    StoreScore,
    compare_metrics,
    compare_parameters,
    compare_stores,
    count_changes,
    ends,
    loss,
)

SWAPPED = {"better": "worse", "worse": "better", "only in a": "only in b", "only in b": "only in a"}
# steps of a hundredth: no difference is near enough to SAME to fall on either side of it
numbers = st.integers(-20_000, 20_000).map(lambda number: number / 100)
wapes = st.none() | st.integers(0, 300).map(lambda number: number / 100)
scores = st.builds(StoreScore, wapes, st.none() | numbers, st.sampled_from(["BUENO", "POBRE"]))
runs = st.dictionaries(st.text(min_size=1, max_size=3), scores, max_size=12)
names = st.sampled_from(
    ["wape", "bias", "avg_r2", "avg_mae", "coverage_80", "coverage_95_open", "std_r2", "naive_wape"]
)
metrics = st.dictionaries(names, numbers)


@pytest.mark.parametrize(
    ("metric", "good", "bad"),
    [
        ("avg_r2", 0.4, -0.1),
        ("test_r2", 0.4, 0.3),
        ("success_rate", 99.0, 90.0),
        ("skill_vs_naive", 0.3, -0.3),
        ("coverage_ok", 1.0, 0.0),
        ("smape_target_achieved", 1.0, 0.0),
        ("wape", 60.0, 61.0),
        ("wape_28d", 13.0, 14.0),
        ("avg_smape", 20.0, 30.0),
        ("best_smape", 20.0, 30.0),
        ("avg_mae", 1.0, 2.0),
        ("rmse", 1.0, 2.0),
        ("mase", 0.7, 0.8),
        ("bias", -1.0, 2.0),
        ("test_bias", 1.0, -2.0),
        ("coverage_80", 81.0, 78.0),
        ("coverage_80_week_2", 79.5, 81.0),
        ("coverage_80_class_regular", 80.0, 80.5),
        ("coverage_95_open", 95.0, 99.0),
    ],
)
def test_loss_is_less_where_a_run_is_better(metric, good, bad):
    assert loss(metric, good) < loss(metric, bad)


@pytest.mark.parametrize(
    "metric",
    ["std_r2", "naive_wape", "coverage_points", "train_seconds", "total_stores_attempted"],
)
def test_metrics_without_a_better_end_have_no_loss(metric):
    assert loss(metric, 1.0) is None
    (row,) = compare_metrics({metric: 1.0}, {metric: 2.0})
    assert (row["difference"], row["better"]) == (1.0, None)


def test_metrics_that_one_run_lacks_are_there_without_a_verdict():
    missing_b, missing_a = compare_metrics({"wape": 60.0}, {"mase": 0.8})
    assert missing_b == {"metric": "wape", "a": 60.0, "b": None, "difference": None, "better": None}
    assert missing_a == {"metric": "mase", "a": None, "b": 0.8, "difference": None, "better": None}


def test_metrics_that_sum_a_run_up_come_first_and_the_others_by_name():
    both = dict.fromkeys(["std_r2", "coverage_80", "best_r2", "bias", "wape"], 1.0)
    order = [row["metric"] for row in compare_metrics(both, both)]
    assert order == ["wape", "bias", "coverage_80", "best_r2", "std_r2"]


@given(metrics, metrics)
def test_swapped_runs_swap_the_better_one(a, b):
    other = {"a": "b", "b": "a"}
    forth, back = compare_metrics(a, b), compare_metrics(b, a)
    assert [row["metric"] for row in forth] == [row["metric"] for row in back]
    assert {row["metric"] for row in forth} == a.keys() | b.keys()
    for one, two in zip(forth, back, strict=True):
        assert (one["a"], one["b"]) == (two["b"], two["a"])
        assert one["better"] == other.get(two["better"], two["better"])
        if one["difference"] is not None:
            assert one["difference"] == -two["difference"]


def test_only_parameters_that_differ_are_listed():
    a = {"seed": "1", "target": "miles", "gone": "x"}
    b = {"seed": "2", "target": "miles", "new": "None"}
    assert compare_parameters(a, b) == [
        {"parameter": "gone", "a": "x", "b": None},
        {"parameter": "new", "a": None, "b": "None"},
        {"parameter": "seed", "a": "1", "b": "2"},
    ]
    assert compare_parameters(a, a) == []


def frame(run):
    rows = [(store_id, score.wape) for store_id, score in run.items()]
    return pd.DataFrame(rows, columns=["store_id", "wape"]).astype({"wape": float})


@given(runs, runs)
def test_stores_and_their_counts_equal_an_outer_join_in_pandas(a, b):
    rows = compare_stores(a, b)
    joined = frame(a).merge(
        frame(b), on="store_id", how="outer", suffixes=("_a", "_b"), indicator="side"
    )
    difference = (joined["wape_b"] - joined["wape_a"]).where(joined["side"] == "both")
    expected = {
        "stores": len(joined),
        "better": (difference < -SAME).sum(),
        "worse": (difference > SAME).sum(),
        "same": (difference.abs() <= SAME).sum(),
        "not_measured": (difference.isna() & (joined["side"] == "both")).sum(),
        "only_in_a": (joined["side"] == "left_only").sum(),
        "only_in_b": (joined["side"] == "right_only").sum(),
        "median_difference": None if difference.isna().all() else difference.median(),
    }
    counts = count_changes(rows)
    assert counts == pytest.approx(expected)
    assert sum(v for k, v in counts.items() if k not in ("stores", "median_difference")) == len(
        rows
    )
    for row in rows:
        store_id = row["store_id"]
        assert row["test_r2_a"] == (a[store_id].r2 if store_id in a else None)
        assert row["quality_b"] == (b[store_id].quality if store_id in b else None)


@given(runs, runs)
def test_swapped_runs_swap_the_stores(a, b):
    forth = {row["store_id"]: row for row in compare_stores(a, b)}
    back = {row["store_id"]: row for row in compare_stores(b, a)}
    assert forth.keys() == back.keys()
    for store_id, row in forth.items():
        assert row["change"] == SWAPPED.get(back[store_id]["change"], back[store_id]["change"])


@given(runs, runs, st.integers(1, 4))
def test_ends_are_the_largest_changes_of_each_kind(a, b, top):
    every = compare_stores(a, b)
    shown = ends(every, top)
    assert "same" not in {row["change"] for row in shown}
    for kind in {row["change"] for row in every} - {"same"}:
        of_kind = [row for row in every if row["change"] == kind]
        chosen = [row for row in shown if row["change"] == kind]
        assert len(chosen) == min(top, len(of_kind))
        if kind in ("better", "worse"):
            left = [abs(row["difference"]) for row in of_kind if row not in chosen]
            assert min(abs(row["difference"]) for row in chosen) >= max(left, default=0)
