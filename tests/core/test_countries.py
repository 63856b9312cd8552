"""Countries and regions by any name that a file or a configuration may hold."""

import re

import pytest
from holidays import list_supported_countries

from lifemiles_forecasting.core.countries import (
    check_country,
    check_region,
    country_code,
    region_code,
    regions,
)
from lifemiles_forecasting.core.errors import ConfigError


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


@pytest.mark.parametrize(
    ("country", "name", "code"),
    [
        ("DE", "BY", "BY"),
        ("DE", "by", "BY"),
        ("DE", "Bayern", "BY"),
        ("DE", "DE-BY", "BY"),
        ("DE", "baden-wurttemberg", "BW"),
        ("ES", "Cataluña", "CT"),
        ("US", "California", "CA"),
        ("GB", "England", "ENG"),
        ("AT", "9", "9"),
        ("DE", "CT", None),
        ("CO", "Antioquia", None),
    ],
)
def test_region_code(country, name, code):
    assert region_code(country, name) == code


def test_every_region_of_every_country_is_found_by_its_code():
    count = 0
    for country in list_supported_countries(include_aliases=False):
        for code in regions(country):
            count += 1
            assert region_code(country, code) == code
    assert count > 300


def refusal(function, *arguments):
    with pytest.raises(ConfigError) as caught:
        function(*arguments)
    return str(caught.value)


def test_check_country_ConfigError_when_unknown():
    assert refusal(check_country, "Colombai", "modeling.holidays.regions") == (
        "found an unknown country 'Colombai' in modeling.holidays.regions; expected its name in "
        "Spanish or English, or its ISO code. Did you mean 'CO'?"
    )
    assert "Did you mean" not in refusal(check_country, "Qwxzkj", "x")


def test_check_region_ConfigError_when_unknown_lists_those_available():
    assert refusal(check_region, "Alemania", "Bayren", "x.y") == (
        "found an unknown region 'Bayren' of Alemania in x.y; expected one of Augsburg, BB, BE, "
        "BW, BY, HB, HE, HH, MV, NI, NW, RP, SH, SL, SN, ST, TH. Did you mean 'BY'?"
    )


def test_check_region_ConfigError_when_the_country_has_none():
    message = refusal(check_region, "Colombia", "Antioquia", "x.y")
    assert re.search(r"expected none: this country has no regions known$", message)


def test_checks_return_codes():
    assert check_country("Alemania", "x") == "DE"
    assert check_region("Alemania", "Hessen", "x") == "HE"
