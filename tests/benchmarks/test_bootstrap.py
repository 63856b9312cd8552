import bootstrap
import numpy as np
import pandas as pd
import pytest


def windows(seed: int = 0, stores: int = 30, methods: tuple[str, ...] = ("ours", "peer")):
    rng = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [methods, pd.date_range("2023-01-01", periods=3), [f"s{k:02d}" for k in range(stores)]],
        names=["method", "origin", "store_id"],
    )
    frame = pd.DataFrame(index=keys).reset_index()
    for name in ("absolute", "absolute_total", "rmse"):
        frame[name] = rng.gamma(2, 5, len(frame))
    same = rng.gamma(2, 50, len(frame) // len(methods))  # what happened, whoever forecasts it
    frame["size"] = frame["size_total"] = np.tile(same, len(methods))
    return frame


def slow_figure(frame: pd.DataFrame, chosen: list[str], metric: str) -> float:
    parts = pd.concat([frame[frame["store_id"] == store] for store in chosen])
    if metric == "RMSE":
        return parts["rmse"].mean()
    top, bottom = {"WAPE": ("absolute", "size"), "WAPE28": ("absolute_total", "size_total")}[metric]
    return 100 * parts[top].sum() / parts[bottom].sum()


@pytest.mark.parametrize("metric", bootstrap.METRICS)
def test_bootstrap_equals_a_loop_that_picks_stores(metric):
    frame = windows(stores=12)
    made = bootstrap.compare(frame, "ours", n=40, seed=3).loc["peer", metric]
    stores = sorted(frame["store_id"].unique())
    drawn = []
    for counts in bootstrap.draws(12, n=40, seed=3):
        chosen = [s for s, n in zip(stores, counts, strict=True) for _ in range(int(n))]
        by_method = dict(iter(frame.groupby("method")))
        ours, peer = (slow_figure(by_method[m], chosen, metric) for m in ("ours", "peer"))
        drawn.append(ours - peer)
    assert (made.low, made.high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]))


@pytest.mark.parametrize("metric", bootstrap.METRICS)
def test_value_is_the_difference_of_the_figures_of_all_stores(metric):
    frame = windows()
    stores = sorted(frame["store_id"].unique())
    ours, peer = (
        slow_figure(frame[frame["method"] == m], stores, metric) for m in ("ours", "peer")
    )
    made = bootstrap.compare(frame, "ours").loc["peer", metric]
    assert made.value == pytest.approx(ours - peer)
    assert made.low < made.value < made.high


def test_equal_forecasts_are_even():
    frame = windows(methods=("ours",))
    both = pd.concat([frame, frame.assign(method="peer")])
    made = bootstrap.compare(both, "ours").loc["peer"]
    for gap in made:
        assert gap.value == gap.low == gap.high == 0
        assert gap.verdict == bootstrap.EVEN


def test_a_clear_gain_in_every_store_is_better_and_the_other_way_round_worse():
    frame = windows(methods=("ours",))
    errors = ["absolute", "absolute_total", "rmse"]
    frame[errors] *= 0.9
    both = pd.concat([frame, frame.assign(method="peer", **{e: frame[e] * 2 for e in errors})])
    assert {gap.verdict for gap in bootstrap.compare(both, "ours").loc["peer"]} == {"better"}
    assert {gap.verdict for gap in bootstrap.compare(both, "peer").loc["ours"]} == {"worse"}


def test_pairing_finds_a_small_gain_between_stores_that_differ_much():
    frame = windows(methods=("ours",))
    frame["absolute"] *= np.tile(10.0 ** (np.arange(30) % 4), 3)
    both = pd.concat([frame, frame.assign(method="peer", absolute=1.02 * frame["absolute"])])
    assert bootstrap.compare(both, "ours").loc["peer", "WAPE"].verdict == "better"


def test_draws_are_as_many_stores_and_the_same_for_the_same_seed():
    counts = bootstrap.draws(17, n=50, seed=1)
    assert (counts.sum(axis=1) == 17).all()
    assert (counts == bootstrap.draws(17, n=50, seed=1)).all()
    assert (counts != bootstrap.draws(17, n=50, seed=2)).any()


def test_order_of_rows_does_not_matter():
    frame = windows()
    mixed = frame.sample(frac=1, random_state=0)
    first, second = (bootstrap.compare(f, "ours").loc["peer", "WAPE"] for f in (frame, mixed))
    assert (first.low, first.high) == pytest.approx((second.low, second.high))


def test_a_draw_without_sales_is_left_out():
    denominator = np.array([1.0, 0.0])
    counts = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    made = bootstrap.difference(np.array([1.0, 0.0]), np.array([2.0, 0.0]), denominator, counts)
    assert (made.low, made.high) == (-1.0, -1.0)
