"""Which stores and which windows a run has, and the refusals."""

import dataclasses
import re

import numpy as np
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.features import MIN_HISTORY
from lifemiles_forecasting.core.study import prepare
from lifemiles_forecasting.core.synthetic import generate_series, with_values


def test_prepare_keeps_every_store_and_marks_those_with_enough(made):
    series, attempted = prepare(made.series, 28, 70, None)
    assert series is made.series
    np.testing.assert_array_equal(attempted, made.series.stores[c.ACTIVE_DAYS] >= 70)
    assert 0 < attempted.sum() < 10


@pytest.mark.parametrize("count", [1, 3])
def test_prepare_takes_the_largest_of_those_with_enough(made, count):
    series, attempted = prepare(made.series, 28, 100, count)
    enough = made.series.stores[c.ACTIVE_DAYS] >= 100
    total = np.nansum(made.series.y, axis=1)
    largest = sorted(np.flatnonzero(enough), key=lambda k: -total[k])[:count]
    assert list(series.store_ids) == list(made.series.store_ids[sorted(largest)])
    assert attempted.all()


def test_prepare_with_room_for_all_changes_nothing(made):
    series, attempted = prepare(made.series, 28, 70, 9)
    assert series is made.series
    assert attempted.sum() == 9


def test_prepare_InputError_when_no_store_has_enough_history(made):
    message = (
        "found no store with enough history: the longest of 10 stores has 220 active days; "
        "expected at least one with 221 (min_samples). "
        "Add transactions, or lower it with --params=min_samples=N."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        prepare(made.series, 28, 221, None)


def test_prepare_InputError_when_there_is_no_store(made):
    with pytest.raises(
        InputError, match="found no store that has ever sold anything; expected at least one"
    ):
        prepare(made.series.take(np.array([], int)), 28, 56, None)


def test_prepare_InputError_when_the_data_are_too_short():
    series = generate_series(n_stores=2, n_days=120).series
    message = (
        "found 120 days of data, 2023-09-03 to 2023-12-31; expected at least 122: 56 to learn "
        "from and two windows of 33. Add older transactions, or lower --params=horizon=N."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        prepare(series, 33, 56, None)
    assert prepare(series, 32, 56, None)[1].all()


def test_windows_end_with_the_data_and_the_first_is_not_scored(made, make_study):
    study = make_study(made.series, horizon=14, n_windows=3)
    assert study.windows == (163, 177, 191, 205)
    assert study.scored == (177, 191, 205)
    assert study.last == 219


def test_short_history_has_two_windows_and_scores_the_test(make_study):
    study = make_study(generate_series(n_stores=3, n_days=120).series, horizon=32, n_windows=3)
    assert study.windows == (MIN_HISTORY - 1, MIN_HISTORY + 31)
    assert study.scored == (MIN_HISTORY + 31,)


def test_attempted_at_counts_only_the_days_until_then(made, make_study):
    study = make_study(made.series, min_samples=60)
    for origin in (100, 163, 191, 205):
        sold = [(np.nan_to_num(row[: origin + 1]) != 0).sum() for row in made.series.y]
        np.testing.assert_array_equal(study.attempted_at(origin), np.array(sold) >= 60)
    np.testing.assert_array_equal(study.attempted_at(study.last), study.attempted)
    gained = study.attempted & ~study.attempted_at(191)
    assert gained[made.row("late")]


def test_a_store_outside_the_run_is_attempted_on_no_day(study):
    none = dataclasses.replace(study, attempted=np.zeros(10, bool))
    assert not none.attempted_at(205).any()


def test_prepare_InputError_when_nobody_was_open_before_the_test_window(made):
    """Its figures would be about nothing."""
    y = made.series.y.copy()
    y[2, :-40] = np.nan
    young = with_values(made.series, y).take(np.array([2]))
    first, last = made.series.dates[-41], made.series.dates[-1]
    message = (
        "found no store among the 1 with enough history that was open before the test window, "
        f"{first} to {last}; expected at least one, for the forecasts to be measured on"
    )
    with pytest.raises(InputError, match=message):
        prepare(young, 41, 28, None)
    prepare(young, 39, 28, None)
