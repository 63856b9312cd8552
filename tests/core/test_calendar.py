"""Holiday features against a loop over days, each store with those of its own region."""

import holidays
import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.calendar import (
    FAR,
    NAMES,
    NO_COUNTRY,
    Calendar,
    holiday_dates,
    holiday_features,
)
from lifemiles_forecasting.core.config import HolidaySettings
from lifemiles_forecasting.core.events import parse_events
from lifemiles_forecasting.core.series import Series


def slow_features(known, day):
    """One day's features by looking at each day around it."""
    window = pd.date_range(day, periods=FAR + 1)
    ahead = [k for k, other in enumerate(window) if other in known]
    behind = [k for k in range(FAR + 1) if day - pd.Timedelta(days=k) in known]
    monday = day - pd.Timedelta(days=day.weekday())
    week = sum(monday + pd.Timedelta(days=k) in known for k in range(7))
    return [day in known, min([*ahead, FAR]), min([*behind, FAR]), week]


@pytest.mark.parametrize(
    ("country", "region"),
    [("US", ""), ("CO", ""), ("SV", ""), ("GT", ""), ("DE", "BY"), ("ES", "CT"), ("DE", "")],
)
def test_holiday_features_equal_their_slow_form(country, region):
    days = np.arange(np.datetime64("2022-11-20"), np.datetime64("2024-02-10"))
    known = holidays.country_holidays(country, subdiv=region or None, years=range(2022, 2025))
    fast = holiday_features(holiday_dates((country, region), days[0], days[-1]), days)
    slow = [slow_features(known, pd.Timestamp(day)) for day in days]
    np.testing.assert_array_equal(fast, np.array(slow, dtype=float))


def test_holidays_beyond_the_first_and_last_day_are_in_sight():
    days = np.array(["2023-12-20"], dtype="datetime64[D]")
    features = dict(
        zip(NAMES, holiday_features(holiday_dates(("CO", ""), *days[[0, 0]]), days)[0], strict=True)
    )
    assert features == {
        "holiday": 0,
        "days_to_holiday": 5,
        "days_since_holiday": 12,  # the 8th of December
        "holidays_in_week": 0,
    }


def series_of(countries, days=30, cities=None, first="2023-12-01"):
    count = len(countries)
    dates = np.datetime64(first) + np.arange(days)
    stores = pd.DataFrame(
        {
            c.STORE_ID: [f"s{k}" for k in range(count)],
            c.PARTNER_CODE: "P",
            c.STORE_CODE: [f"{k:02d}" for k in range(count)],
            c.COUNTRY: pd.Series(countries, dtype=object),
            c.CITY: pd.Series(cities or [None] * count, dtype=object),
        }
    )
    return Series(np.zeros((count, days)), dates, stores)


def test_each_store_has_the_holidays_of_its_country():
    calendar = Calendar.of(series_of(["Colombia", "Estados Unidos", "CO", "Atlantis"]), 10)
    # from the 30th of December; the 8th of January is a holiday of Colombia alone
    ahead = calendar.ahead(29, 10)
    holiday = ahead[:, :, NAMES.index("holiday")]
    np.testing.assert_array_equal(holiday[0], holiday[2])
    days = np.datetime64("2023-12-31") + np.arange(10)
    new_year, kings = days == np.datetime64("2024-01-01"), days == np.datetime64("2024-01-08")
    np.testing.assert_array_equal(holiday[0], new_year | kings)
    np.testing.assert_array_equal(holiday[1], new_year)
    assert not holiday[3].any()
    assert (ahead[3, :, NAMES.index("days_to_holiday")] == FAR).all()
    assert calendar.unknown == {"Atlantis": 1}


def test_take_and_ahead_follow_the_stores():
    calendar = Calendar.of(series_of(["Colombia", "Estados Unidos"]), 14)
    np.testing.assert_array_equal(
        calendar.take(np.array([1])).ahead(5, 14), calendar.ahead(5, 14)[[1]]
    )
    assert calendar.ahead(29, 14).shape == (2, 14, len(NAMES))


def test_stores_without_a_known_country_have_no_holidays_and_are_counted():
    countries = [None, "Colombia", "Atlantis", " ", "Atlantis", float("nan")]
    calendar = Calendar.of(series_of(countries), 7)
    for store in (0, 2, 3, 4, 5):
        assert calendar.features[calendar.place[store]][:, 0].sum() == 0
    assert calendar.unknown == {NO_COUNTRY: 3, "Atlantis": 2}
    assert calendar.notices() == [
        (NO_COUNTRY, "holidays", "unknown_country", 3),
        ("Atlantis", "holidays", "unknown_country", 2),
    ]


def test_regions_of_one_country_have_their_own_holidays_in_the_past_and_ahead():
    """Epiphany is one in Bavaria and Saxony-Anhalt, the Day of Repentance only in Saxony."""
    settings = HolidaySettings(
        regions={"Alemania": "Bayern"},
        city_regions={"DE": {"SN": ["Leipzig"]}},
        store_regions={"DE": {"ST": ["s2"]}},
    )
    series = series_of(
        ["Germany", "DE", "Alemania", "Colombia"],
        days=60,
        cities=[None, "LEIPZIG ", "Leipzig", "Leipzig"],
        first="2023-11-01",
    )
    calendar = Calendar.of(series, 14, settings)
    repentance, epiphany = np.datetime64("2023-11-22"), np.datetime64("2024-01-06")
    holiday = calendar.features[calendar.place, :, 0]
    past = int((repentance - series.dates[0]).astype(int))
    np.testing.assert_array_equal(holiday[:, past], [0, 1, 0, 0])
    ahead = calendar.ahead(59, 14)[:, int((epiphany - series.dates[-1]).astype(int)) - 1, 0]
    np.testing.assert_array_equal(ahead, [1, 0, 1, 0])
    assert not calendar.unknown


def test_a_store_may_be_given_a_country_that_its_data_lack():
    settings = HolidaySettings(store_regions={"DE": {"BE": ["s0"]}})
    calendar = Calendar.of(series_of([None, None]), 7, settings)
    assert calendar.unknown == {NO_COUNTRY: 1}
    assert calendar.features[calendar.place[0]][:, 0].sum() == 3  # Christmas and New Year's Day


def test_names_and_features_go_together_with_and_without_events():
    series = series_of(["Colombia", "Colombia"])
    without = Calendar.of(series, 5)
    assert without.names == NAMES
    text = "store_code,start_date,end_date,name\n01,2023-12-30,2024-01-01,double miles"
    calendar = Calendar.of(series, 5, events=parse_events(text, "e.csv"))
    assert calendar.names == (*NAMES, "event:double miles", "event_day", "event_days_left")
    ahead = calendar.ahead(29, 5)
    assert ahead.shape == (2, 5, len(calendar.names))
    np.testing.assert_array_equal(ahead[:, :, :4], without.ahead(29, 5))
    np.testing.assert_array_equal(ahead[0, :, 4:], 0)
    np.testing.assert_array_equal(
        ahead[1, :, 4:].T, [[1, 1, 0, 0, 0], [2, 3, 0, 0, 0], [2, 1, 0, 0, 0]]
    )
    np.testing.assert_array_equal(calendar.take(np.array([1])).ahead(29, 5), ahead[[1]])


def test_a_plan_for_nobody_here_is_none():
    text = "partner_code,start_date,end_date,name\nX,2023-12-30,2024-01-01,double miles"
    calendar = Calendar.of(series_of(["Colombia"]), 5, events=parse_events(text, "e.csv"))
    assert calendar.events is None
    assert calendar.names == NAMES
