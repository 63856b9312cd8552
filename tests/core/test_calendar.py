"""Holiday features against a loop over days; countries by any name that a file may hold."""

import holidays
import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.calendar import (
    FAR,
    NAMES,
    Calendar,
    country_code,
    holiday_dates,
    holiday_features,
)
from lifemiles_forecasting.core.series import Series


def slow_features(known, day):
    """One day's features by looking at each day around it."""
    window = pd.date_range(day, periods=FAR + 1)
    ahead = [k for k, other in enumerate(window) if other in known]
    behind = [k for k in range(FAR + 1) if day - pd.Timedelta(days=k) in known]
    monday = day - pd.Timedelta(days=day.weekday())
    week = sum(monday + pd.Timedelta(days=k) in known for k in range(7))
    return [day in known, min([*ahead, FAR]), min([*behind, FAR]), week]


@pytest.mark.parametrize("country", ["US", "CO", "SV", "GT"])
def test_holiday_features_equal_their_slow_form(country):
    days = np.arange(np.datetime64("2022-11-20"), np.datetime64("2024-02-10"))
    known = holidays.country_holidays(country, years=range(2022, 2025))
    fast = holiday_features(holiday_dates(country, days[0], days[-1]), days)
    slow = [slow_features(known, pd.Timestamp(day)) for day in days]
    np.testing.assert_array_equal(fast, np.array(slow, dtype=float))


def test_holidays_beyond_the_first_and_last_day_are_in_sight():
    days = np.array(["2023-12-20"], dtype="datetime64[D]")
    features = dict(
        zip(NAMES, holiday_features(holiday_dates("CO", *days[[0, 0]]), days)[0], strict=True)
    )
    assert features == {
        "holiday": 0,
        "days_to_holiday": 5,
        "days_since_holiday": 12,  # the 8th of December
        "holidays_in_week": 0,
    }


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Estados Unidos", "US"),
        ("estados unidos ", "US"),
        ("United States", "US"),
        ("US", "US"),
        ("usa", "US"),
        ("Colombia", "CO"),
        ("COL", "CO"),
        ("Panamá", "PA"),
        ("PANAMA", "PA"),
        ("México", "MX"),
        ("Perú", "PE"),
        ("El Salvador", "SV"),
        ("Costa Rica", "CR"),
        ("Brazil", "BR"),
        ("Brasil", "BR"),
        ("España", "ES"),
        ("Atlantis", None),
        ("", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_country_code(name, code):
    assert country_code(name) == code


def series_of(countries, days=30):
    count = len(countries)
    dates = np.datetime64("2023-12-01") + np.arange(days)
    stores = pd.DataFrame(
        {
            c.STORE_ID: [f"s{k}" for k in range(count)],
            c.PARTNER_CODE: "P",
            c.COUNTRY: pd.Series(countries, dtype=object),
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
    assert calendar.unknown == ("Atlantis",)


def test_take_and_ahead_follow_the_stores():
    calendar = Calendar.of(series_of(["Colombia", "Estados Unidos"]), 14)
    np.testing.assert_array_equal(
        calendar.take(np.array([1])).ahead(5, 14), calendar.ahead(5, 14)[[1]]
    )
    assert calendar.ahead(29, 14).shape == (2, 14, len(NAMES))


def test_stores_without_a_country_have_no_holidays():
    calendar = Calendar.of(series_of([None, "Colombia"]), 7)
    assert calendar.features[calendar.country[0]][:, 0].sum() == 0
    assert len(calendar.unknown) == 1
