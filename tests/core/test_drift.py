"""The drift flag: its measure against slow forms, its alarms on chains whose truth is known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifemiles_forecasting.core import backtest, drift
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import metrics as m
from lifemiles_forecasting.core.base import fit_base
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.intervals import Spread
from lifemiles_forecasting.core.monitoring import Actuals, join_actuals
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic_panel import Traits, generate_panel

H = 28
STEADY = Traits(closure=0, level_shift=0, late=0)


def errors_of(series, origins):
    """What `backtest_errors` gives, of the closed-form base alone."""
    parts = []
    for origin in origins:
        history = series.until(origin + 1)
        away = series.y[:, origin + 1 : origin + 1 + H] - fit_base(history, H).forecast()
        away /= Spread.of(history).day[:, None]
        for days in (7, 14, 21, 28):
            measured = {
                c.STORE_ID: series.store_ids,
                c.ORIGIN: series.dates[origin].astype("datetime64[ns]"),
                "days": days,
                "error": np.abs(away[:, :days]).mean(axis=1),
                "shift": away[:, :days].mean(axis=1),
            }
            parts.append(pd.DataFrame(measured))
    return pd.concat(parts, ignore_index=True)


def past_of(history, status="ok", trains=False):
    """The base's forecasts from the end of a history, as a run leaves them."""
    forecast = fit_base(history, H).forecast()
    dates = (history.origin + 1 + np.arange(H)).astype("datetime64[ns]")
    frame = pd.DataFrame(
        {
            c.STORE_ID: np.repeat(history.store_ids, H),
            c.PARTNER_CODE: np.repeat(history.stores[c.PARTNER_CODE].to_numpy(object), H),
            c.DATE: np.tile(dates, len(forecast)),
            c.HORIZON: np.tile(np.arange(1, H + 1), len(forecast)),
            c.FORECAST: forecast.ravel(),
        }
    )
    bands = {f"lower_{level}": 0.0 for level in (80, 95)}
    bands |= {f"upper_{level}": 2 * frame[c.FORECAST] for level in (80, 95)}
    named = {"run_id": "r", c.ORIGIN: history.origin.astype("datetime64[ns]"), "trains": trains}
    return frame.assign(**bands, **named, **{c.STATUS: status})


@pytest.fixture(scope="module")
def chain():
    """400 steady stores; the last 28 days are the period."""
    return generate_panel(400, 500, seed=5, traits=STEADY).series


@pytest.fixture(scope="module")
def errors(chain):
    last = len(chain.dates) - 1 - H
    return errors_of(chain, [last - H * k for k in (1, 2, 3)])


@pytest.fixture
def judge(chain, errors):
    """A function from a change of the period's days to the verdict on every store."""
    first = len(chain.dates) - H

    def judged(change=lambda y, _forecast: y, *, days=H, past=None, **arguments):
        history = chain.until(first)
        forecast = fit_base(history, H).forecast()
        recent = change(chain.y[:, first:].copy(), forecast)[:, :days]
        y = np.concatenate([chain.y[:, :first], recent], axis=1)
        series = Series(y, chain.dates[: first + days], chain.stores)
        tested = join_actuals(past_of(history) if past is None else past, Actuals(series, days))
        arguments = {"errors": errors, "percentile": 99.0, **arguments}
        return drift.find_drift(tested, **arguments).set_index(c.STORE_ID)

    return judged


def test_backtest_errors_equal_plain_pandas(study, result, slow_spread):
    found = drift.backtest_errors(study, result).set_index([c.STORE_ID, c.ORIGIN, "days"])
    rows = backtest.to_frame(study, result)
    rows = rows[rows[c.CANDIDATE] == "blend"]
    assert set(found.index.get_level_values("days")) == {7, 14}
    y = pd.DataFrame(study.series.y.T, study.series.dates, study.series.store_ids)
    y.index = y.index.astype("datetime64[ns]")
    measured = 0
    for (store, origin), window in rows.groupby([c.STORE_ID, c.ORIGIN]):
        unit = slow_spread(y.loc[:origin], study.series.partner).loc[store, "day"]
        if unit == 0:
            continue
        for days in (7, 14):
            part = window[window[c.HORIZON] <= days]
            away = (part[c.Y] - part[c.Y_HAT]) / unit
            line = found.loc[(store, origin, days)]
            assert line["error"] == pytest.approx(away.abs().mean())
            assert line["shift"] == pytest.approx(away.mean())
            measured += 1
    assert measured == len(found) > 20


def test_backtest_errors_know_the_stores_whose_models_are_kept(study, result):
    """After a run that trained a few stores anew, the others are judged as before."""
    ids = study.series.store_ids[study.attempted]
    kept = SimpleNamespace(since=study.series.dates[0], modelled=lambda: set(ids[1:]))
    few = replace(study, kept=kept, attempted=study.series.store_ids == ids[0])
    expected = drift.backtest_errors(study, result)
    pd.testing.assert_frame_equal(drift.backtest_errors(few, result), expected)


def test_healthy_stores_are_rarely_flagged(judge):
    for days in (H, 14):
        table = judge(days=days)
        by_error = table["error"] > table["error_limit"]
        by_shift = table["shift"].abs() > table["shift_limit"]
        assert by_error.mean() < 0.03, days
        assert by_shift.mean() < 0.03, days
        assert (table["drifted"] == by_error | by_shift).all()


@pytest.mark.parametrize(
    ("change", "found", "reason"),
    [
        (lambda y, _: 0.6 * y, 0.9, "sells less than forecast"),
        (lambda y, _: 1.5 * y, 0.9, "sells more than forecast"),
        (
            lambda y, forecast: np.maximum(forecast + 3 * (y - forecast), 0),
            0.75,
            "times its backtest",
        ),
        (lambda y, _: 0.0 * y, 0.99, "sells less than forecast"),
    ],
    ids=["x0.6", "x1.5", "noise x3", "closed"],
)
def test_real_changes_are_found_within_28_days(judge, change, found, reason):
    table = judge(change)
    assert table["drifted"].mean() > found
    assert table.loc[table["drifted"], "reasons"].str.contains(reason).mean() > 0.9


def test_one_changed_store_is_named_and_the_others_are_not(judge, chain):
    def change(y, _forecast):
        y[7] *= 3
        return y

    healthy, table = judge(), judge(change)
    store = chain.store_ids[7]
    others = table.index != store
    pd.testing.assert_frame_equal(
        table[others].sort_index(), healthy.drop(index=store).sort_index()
    )
    line = table.loc[store]
    assert table.index[0] == store  # the worst comes first
    assert line["drifted"]
    assert line["retrain"]
    assert line["level_now"] == pytest.approx(3 * healthy.loc[store, "level_now"])
    assert line["level_before"] == pytest.approx(chain.y[7, -H - 56 : -H].mean())


@pytest.fixture
def ragged(chain):
    """The forecasts of the period, some of whose days are missing for some stores."""
    past = past_of(chain.until(len(chain.dates) - H))
    rng = np.random.default_rng(2)
    rare = past[c.STORE_ID].isin(chain.store_ids[::3])
    return past[~rare | (rng.random(len(past)) < 0.7)]


def test_measures_of_a_store_equal_plain_pandas(judge, chain, ragged):
    table = judge(past=ragged)
    y = pd.DataFrame(chain.y.T, chain.dates.astype("datetime64[ns]"), chain.store_ids)
    for store, rows in ragged.groupby(c.STORE_ID):
        sold = y.loc[rows[c.DATE], store].to_numpy()
        away = rows[c.FORECAST].to_numpy() - sold
        held = (rows["lower_80"] <= sold) & (sold <= rows["upper_80"])
        line = table.loc[store]
        assert (line["days"], line[c.PARTNER_CODE]) == (len(rows), rows[c.PARTNER_CODE].iloc[0])
        assert line["wape"] == pytest.approx(100 * np.abs(away).sum() / sold.sum())
        assert line["bias"] == pytest.approx(100 * away.sum() / sold.sum())
        assert line["coverage_80"] == pytest.approx(100 * held.mean())
        assert line["level_now"] == pytest.approx(sold.mean())
        assert line["shift"] / line["error"] == pytest.approx(-away.mean() / np.abs(away).mean())


def test_stores_are_measured_together(judge, ragged, monkeypatch):
    """One by one they take seconds of a large programme."""
    calls, wape = [], m.wape
    monkeypatch.setattr(m, "wape", lambda *arguments: calls.append(1) or wape(*arguments))
    judge(past=ragged)
    assert len(calls) == ragged.groupby(c.STORE_ID).size().nunique() < 20


def test_verdict_does_not_depend_on_the_unit_of_money(judge, chain, errors):
    table = judge()
    first = len(chain.dates) - H
    cents = replace(chain, y=100 * chain.y)
    tested = join_actuals(past_of(cents.until(first)), Actuals(cents, H))
    scaled = drift.find_drift(tested, errors, 99.0).set_index(c.STORE_ID)
    free = ["drifted", "reasons", "retrain", "error_limit", "shift_limit"]
    pd.testing.assert_frame_equal(table[free].sort_index(), scaled[free].sort_index())
    for name in ("error", "shift", "wape"):
        np.testing.assert_allclose(table[name].sort_index(), scaled[name].sort_index(), rtol=1e-9)


def test_too_short_a_period_is_not_judged(judge):
    table = judge(lambda y, _: 5 * y, days=6)
    assert not table["drifted"].any()
    assert set(table[c.STATUS]) == {"too_few_days"}
    assert (table["days"] == 6).all()


def test_limits_equal_a_slow_form(errors):
    """Each window against the geometric mean of its store's others and one of all stores."""
    part = errors[errors["days"] == 14]
    few = part[part[c.STORE_ID].isin(part[c.STORE_ID].unique()[:50])]
    limits = drift.Limits.of(few, 20, 90.0)
    middle = np.exp(np.median(np.log(few["error"])))
    ratios, shifts = [], []
    for _, rows in few.groupby(c.STORE_ID):
        for k in range(len(rows)):
            others = [*np.delete(rows["error"].to_numpy(), k), middle]
            usual = np.prod(others) ** (1 / len(others))
            ratios.append(rows["error"].iloc[k] / usual)
            shifts.append(abs(rows["shift"].iloc[k]) / usual)
    rank = int(np.ceil(0.9 * (len(ratios) + 1))) - 1
    assert limits.error_times == pytest.approx([sorted(ratios)[rank]])
    assert limits.shift_times == pytest.approx([sorted(shifts)[rank]])
    one = few[few[c.STORE_ID] == few[c.STORE_ID].iloc[0]]["error"]
    expected = (one.prod() * middle) ** (1 / 4)
    assert limits.usual.iloc[0] == pytest.approx(expected)


def test_stores_that_hardly_sell_do_not_set_the_limits_of_the_others(errors):
    rng = np.random.default_rng(0)
    rare = errors.assign(**{c.STORE_ID: "rare_" + errors[c.STORE_ID]})
    rare["error"] *= 0.01 * rng.lognormal(0, 2, len(rare))
    rare["shift"] = rare["error"]
    alone = drift.Limits.of(errors, H, 99.0).at(pd.Index(errors[c.STORE_ID].unique()))
    mixed = drift.Limits.of(pd.concat([errors, rare]), H, 99.0).at(alone.index)
    assert mixed["error_limit"].median() < 2 * alone["error_limit"].median()


@settings(max_examples=20)
@given(st.integers(20, 400), st.floats(0, 1), st.integers(0, 10**6))
def test_no_limit_is_missing_and_few_windows_exceed_theirs(stores, idle, seed):
    """Whatever share of the stores never errs."""
    rng = np.random.default_rng(seed)
    error = rng.lognormal(-1, 0.5, (stores, 3)) * (rng.random((stores, 1)) >= idle)
    frame = pd.DataFrame({c.STORE_ID: np.repeat(np.arange(stores).astype(str), 3), "days": H})
    frame["error"] = error.ravel()
    frame["shift"] = frame["error"] * rng.choice([-0.3, 0.3], len(frame))
    at = drift.Limits.of(frame, H, 95.0).at(pd.Index(frame[c.STORE_ID].unique()))
    assert np.isfinite(at["error_limit"]).all()
    assert (at["error_limit"] >= 0).all()
    over = error > at["error_limit"].to_numpy()[:, None]
    assert over.mean() < 0.1


def test_few_stores_or_windows_are_judged_by_all_errors(errors):
    stores = errors[c.STORE_ID].unique()
    few = errors[errors[c.STORE_ID].isin(stores[:10])]
    limits = drift.Limits.of(few, H, 99.0)
    assert limits.usual.empty
    at = limits.at(pd.Index(["anyone", stores[0]]))
    longest = few[few["days"] == H]
    assert at["error_limit"].tolist() == [longest["error"].max()] * 2
    assert at["shift_limit"].tolist() == [longest["shift"].abs().max()] * 2
    once = errors[errors[c.ORIGIN] == errors[c.ORIGIN].min()]
    assert drift.Limits.of(once, H, 99.0).usual.empty
    known = drift.Limits.of(errors, H, 99.0).at(pd.Index(["new", stores[0]]))
    assert known["error_before"].isna().tolist() == [True, False]


def test_limits_InputError_when_nothing_was_measured(errors):
    with pytest.raises(InputError, match="a backtest without the errors of any store"):
        drift.Limits.of(errors.iloc[:0], H, 99.0)


def test_windows_that_reach_into_the_period_are_not_the_measure(judge, errors, chain):
    late = errors[errors[c.ORIGIN] == errors[c.ORIGIN].max()]
    late = late.assign(**{c.ORIGIN: chain.dates[-10].astype("datetime64[ns]"), "error": 50.0})
    pd.testing.assert_frame_equal(judge(errors=pd.concat([errors, late])), judge())
    assert (judge(errors=late)["error_limit"] == 50.0).all()  # better than none


def test_store_trained_within_the_period_is_not_listed_again(judge, chain):
    def change(y, _forecast):
        y[:3] *= 3
        return y

    stores = chain.store_ids[:3]
    first = len(chain.dates) - H
    past = past_of(chain.until(first))
    anew = past_of(chain.until(first + 10).take(np.array([0])), trains=True).assign(run_id="anew")
    scored = past_of(chain.until(first + 10).take(np.array([1]))).assign(run_id="scored")
    past.loc[past[c.STORE_ID] == stores[2], c.STATUS] = "short_history"
    table = judge(change, past=pd.concat([past, anew, scored])).loc[stores]
    assert table["drifted"].all()
    assert table["retrain"].tolist() == [False, True, False]
    today = past_of(chain.take(np.array([0])), trains=True).assign(run_id="today")
    assert not judge(change, past=pd.concat([past, today])).loc[stores[0], "retrain"]


def test_store_without_a_history_here_that_is_gone_has_drifted(judge, chain):
    """Its transactions are no longer in the files, so it has no spread to measure by."""
    past = past_of(chain.until(len(chain.dates) - H))
    gone = past[past[c.STORE_ID] == chain.store_ids[0]].assign(**{c.STORE_ID: "gone"})
    line = judge(past=pd.concat([past, gone])).loc["gone"]
    assert line["drifted"]
    assert np.isinf(line["error"])
    assert np.isnan(line["level_before"])


def test_sleeping_store_that_stays_asleep_is_measured_and_well(judge, chain):
    past = past_of(chain.until(len(chain.dates) - H))
    sleeping = past[past[c.STORE_ID] == chain.store_ids[0]]
    sleeping = sleeping.assign(**{c.STORE_ID: "asleep", c.FORECAST: 0.0, c.STATUS: "dormant"})
    line = judge(past=pd.concat([past, sleeping])).loc["asleep"]
    assert (line["days"], line["error"], line["drifted"]) == (28, 0.0, False)


def test_summary_counts():
    table = pd.DataFrame(
        {
            c.STATUS: ["judged", "judged", "too_few_days"],
            "drifted": [True, True, False],
            "retrain": [True, False, False],
        }
    )
    assert drift.summary(table) == {"stores_judged": 2, "drifted_stores": 2, "stores_to_retrain": 1}
