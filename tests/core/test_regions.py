"""Which region a store is in, and configurations that contradict themselves."""

import pytest

from lifemiles_forecasting.core.config import HolidaySettings, ModelSettings, parse
from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.regions import NOWHERE, Regions
from lifemiles_forecasting.core.synthetic import small_settings


def regions_of(**groups):
    return Regions.of(HolidaySettings(**groups))


def test_the_finer_one_wins():
    found = regions_of(
        regions={"DE": "BY", "España": "Cataluña"},
        city_regions={"Germany": {"HH": ["Hamburg"], "BW": ["Stuttgart", "Ulm"]}},
        store_regions={"DE": {"SN": ["P_0007"]}},
    )
    assert found.place("P_0001", "Deutschland", None) == NOWHERE  # neither Spanish nor English
    assert found.place("P_0001", "Alemania", None) == ("DE", "BY")
    assert found.place("P_0001", "DE", "Aachen") == ("DE", "BY")
    assert found.place("P_0001", "DE", " HAMBURG") == ("DE", "HH")
    assert found.place("P_0007", "DE", "Hamburg") == ("DE", "SN")
    assert found.place("P_0007", None, None) == ("DE", "SN")
    assert found.place("P_0001", "ES", "Hamburg") == ("ES", "CT")
    assert found.place("P_0001", "Colombia", "Ulm") == ("CO", "")


def test_a_country_may_have_other_names_in_the_data():
    found = regions_of(countries={"EE. UU.": "US", "Gran Bretaña": "GB"}, regions={"GB": "ENG"})
    assert found.place("P_1", "ee.uu.", None) == ("US", "")
    assert found.place("P_1", "Gran Bretaña", None) == ("GB", "ENG")
    assert found.place("P_1", "Colombia", None) == ("CO", "")
    assert found.place("P_1", None, None) == NOWHERE


def test_without_configuration_the_country_alone_counts():
    assert regions_of().place("P_1", "US", "Augusta") == ("US", "")
    assert regions_of().place("P_1", float("nan"), float("nan")) == NOWHERE


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            {"countries": {"EE. UU.": "USSR"}},
            "found an unknown country 'USSR' in modeling.holidays.countries",
        ),
        (
            {"countries": {"EE. UU.": "US", "ee.uu.": "UM"}},
            "found 'ee.uu.' with 'US' and 'UM' in modeling.holidays.countries",
        ),
        (
            {"regions": {"DE": "XX"}},
            r"an unknown region 'XX' of DE in modeling\.holidays\.regions; expected one of Augsb",
        ),
        (
            {"regions": {"Atlantis": "XX"}},
            r"an unknown country 'Atlantis' in modeling\.holidays\.regions; expected its name",
        ),
        (
            {"city_regions": {"DE": {"Bayren": ["Ulm"]}}},
            r"'Bayren' of DE in modeling\.holidays\.city_regions; .* Did you mean 'BY'\?",
        ),
        (
            {"city_regions": {"DE": {"BY": ["Ulm"], "BW": ["ulm "]}}},
            r"\('DE', 'ulm'\) with 'BY' and 'BW' in modeling\.holidays\.city_regions; expected one",
        ),
        (
            {"store_regions": {"DE": {"BY": ["P_1"]}, "ES": {"CT": ["P_1"]}}},
            r"'P_1' with \('DE', 'BY'\) and \('ES', 'CT'\) in modeling\.holidays\.store_regions",
        ),
        (
            {"regions": {"DE": "BY", "Alemania": "BW"}},
            r"'DE' with 'BY' and 'BW' in modeling\.holidays\.regions; expected one region",
        ),
    ],
)
def test_settings_ConfigError_when_something_is_unknown_or_twice(groups, message):
    """Already while the configuration is read, before a run begins."""
    raw = small_settings().model_dump() | {"holidays": groups}
    with pytest.raises(ConfigError, match=message):
        parse(ModelSettings, raw)


def test_settings_ConfigError_when_yaml_made_a_number_or_a_truth_of_a_code():
    raw = small_settings().model_dump() | {"holidays": {"regions": {"CA": True}}}
    with pytest.raises(ConfigError, match=r"'holidays\.regions\.CA' = True; expected input should"):
        parse(ModelSettings, raw)


def test_the_same_thing_said_twice_is_no_contradiction():
    found = regions_of(city_regions={"DE": {"BY": ["Ulm", "ULM"]}, "Alemania": {"Bayern": ["ulm"]}})
    assert found.by_city == {("DE", "ulm"): "BY"}
