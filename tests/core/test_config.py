"""Configuration: every refusal names the parameter, what it is and what would do."""

import copy
import math
import re
from datetime import date

import numpy as np
import pytest
from catboost import CatBoostRegressor

from lifemiles_forecasting.core.config import (
    Closed,
    ModelSettings,
    Parameters,
    ReportSettings,
    parse,
)
from lifemiles_forecasting.core.errors import ConfigError

SIZES = {"small": {"iterations": 5, "depth": 2, "learning_rate": 0.1}}


@pytest.fixture
def modeling():
    return {
        "candidates": ["base", "direct"],
        "direct": {"sizes": SIZES},
        "recursive": {"sizes": SIZES},
        "local_catboost": {"sizes": SIZES},
        "ridge": {"alphas": {"one": 1}},
        "combine": {"shrink_days": 10},
    }


@pytest.fixture
def everything(modeling):
    return {
        "data_root": "data",
        "raw_transactions": "data/01_raw/transactions",
        "data_processing": {"columns": {"partner_code": ["Partner Code"]}},
        "modeling": modeling,
        "reporting": {"tiers": {"ONE": {"min_r2": 0, "max_smape": 50}}, "metrics": ["wape"]},
    }


def refusal(model, values):
    with pytest.raises(ConfigError) as caught:
        parse(model, values)
    return str(caught.value)


def test_defaults(everything):
    parameters = parse(Parameters, everything)
    assert (parameters.target, parameters.horizon, parameters.min_samples) == ("billings", 28, 56)
    assert parameters.max_stores is None
    assert parameters.modeling.direct.sizes["small"].l2_leaf_reg == 3
    assert parameters.modeling.n_windows == 3


def test_settings_do_not_change_after_parsing(modeling):
    settings = parse(ModelSettings, modeling)
    with pytest.raises(ValueError, match="frozen"):
        settings.n_windows = 5


def test_parse_does_not_modify_its_input(everything):
    before = repr(everything)
    parse(Parameters, everything)
    assert repr(everything) == before


def test_parse_ConfigError_when_key_is_unknown(everything):
    message = refusal(Parameters, {**everything, "horizn": 3})
    assert message.startswith("found an unknown parameter 'horizn'; expected one of as_of, data_")
    assert message.endswith(". Did you mean 'horizon'?")


def test_parse_ConfigError_when_nested_key_is_unknown(everything):
    everything["modeling"]["combine"] = {"shrink_day": 4}
    assert refusal(Parameters, everything) in (
        "found no parameter 'modeling.combine.shrink_days'; "
        "expected it in conf/base/parameters*.yml",
        "found an unknown parameter 'modeling.combine.shrink_day'; expected one of power, "
        "shrink_days. Did you mean 'shrink_days'?",
    )
    everything["modeling"]["combine"] = {"shrink_days": 4, "powr": 2}
    assert refusal(Parameters, everything) == (
        "found an unknown parameter 'modeling.combine.powr'; expected one of power, shrink_days. "
        "Did you mean 'power'?"
    )


def test_parse_ConfigError_when_a_raw_column_is_unknown(everything):
    """A misspelled one would be a column that is not read, without a word."""
    everything["data_processing"]["columns"]["activty_id"] = ["Nr"]
    message = (
        "found an unknown parameter 'data_processing.columns.activty_id'; expected one of "
        "partner_code, store_code, "
    )
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        parse(Parameters, everything)
    assert str(caught.value).endswith("Did you mean 'activity_id'?")


def test_parse_ConfigError_when_a_metric_is_unknown(everything):
    everything["reporting"]["metrics"] = ["mae", "wap"]
    message = "found an unknown metric 'wap' in reporting.metrics; expected some of "
    with pytest.raises(ConfigError, match=message):
        parse(Parameters, everything)


def test_parse_ConfigError_when_nothing_is_near(everything):
    message = refusal(Parameters, {**everything, "xyz": 3})
    assert "Did you mean" not in message


def test_parse_ConfigError_when_key_of_a_size_is_unknown(modeling):
    modeling["direct"] = {"sizes": {"small": {**SIZES["small"], "dept": 3}}}
    assert refusal(ModelSettings, modeling) == (
        "found an unknown parameter 'direct.sizes.small.dept'; expected one of depth, iterations, "
        "l2_leaf_reg, learning_rate, min_data_in_leaf. Did you mean 'depth'?"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"horizon": 0},
            "found parameter 'horizon' = 0; expected input should be greater than or equal to 1",
        ),
        (
            {"stores": []},
            "found parameter 'stores' = []; expected at least one store_id, or null for all of "
            "them",
        ),
        (
            {"horizon": 181},
            "found parameter 'horizon' = 181; expected input should be less than or equal to 180",
        ),
        (
            {"horizon": "x"},
            "found parameter 'horizon' = 'x'; expected input should be a valid integer, "
            "unable to parse string as an integer",
        ),
        (
            {"target": "profit"},
            "found parameter 'target' = 'profit'; expected input should be 'billings', "
            "'local_amount' or 'miles'",
        ),
        (
            {"max_stores": 0},
            "found parameter 'max_stores' = 0; expected input should be greater than or equal to 1",
        ),
        (
            {"min_samples": 10},
            "found parameter 'min_samples' = 10; "
            "expected input should be greater than or equal to 28",
        ),
    ],
)
def test_parse_ConfigError_when_value_cannot_be_used(everything, change, message):
    assert refusal(Parameters, everything | change) == message


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("seed", -1, "greater than or equal to 0"),
        ("seed", 10**20, "less than or equal to 9223372036854775807"),
        ("modeling.ridge.alphas.one", 0, "greater than 0"),
        ("modeling.ridge.alphas.one", -3.0, "greater than 0"),
        ("modeling.ridge.alphas.one", math.nan, "a finite number"),
        ("modeling.ridge.alphas.one", math.inf, "a finite number"),
        ("modeling.combine.power", math.inf, "a finite number"),
        ("modeling.combine.shrink_days", math.inf, "a finite number"),
        ("modeling.direct.sizes.small.l2_leaf_reg", math.inf, "a finite number"),
    ],
)
def test_parse_ConfigError_when_every_fit_would_fail(everything, name, value, expected):
    *groups, last = name.split(".")
    everything = group = copy.deepcopy(everything)  # sizes are shared
    for one in groups:
        group = group[one]
    group[last] = value
    assert refusal(Parameters, everything) == (
        f"found parameter {name!r} = {value!r}; expected input should be {expected}"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"columns": {"process_date": "Fecha"}},
            "parameter 'data_processing.columns.process_date' = 'Fecha'; expected a list, such as "
            "[Fecha]",
        ),
        (
            {"columns": {"process_date": None}},
            "parameter 'data_processing.columns.process_date' = None; expected a list",
        ),
        (
            {"transaction_types": "Accrual"},
            "parameter 'data_processing.transaction_types' = 'Accrual'; expected a list, such as "
            "[Accrual]",
        ),
        (
            {"thousands": ".", "decimal": "."},
            "parameters of the group 'data_processing' that do not go together; expected another "
            "sign for thousands than '.', that of decimals",
        ),
        *(
            (
                {"separator": value},
                f"parameter 'data_processing.separator' = {value!r}; expected one sign, such as "
                '";", or "\\t" in double quotes for a tab',
            )
            for value in ("tab", r"\t", "")
        ),
    ],
)
def test_parse_ConfigError_of_formats_says_how_to_write_them(everything, change, message):
    everything["data_processing"] |= change
    assert refusal(Parameters, everything) == f"found {message}"


def test_parse_ConfigError_without_the_group_when_parameters_do_not_go_together(everything):
    assert refusal(Parameters, everything | {"retrain": "drifted", "max_stores": 3}) == (
        "found parameters that do not go together; expected retrain=drifted without max_stores: "
        "each of them chooses stores"
    )


def test_a_tab_is_a_separator(everything):
    everything["data_processing"]["separator"] = "\t"
    assert parse(Parameters, everything).data_processing.separator == "\t"


def test_largest_seed_is_one_that_learners_take(everything):
    seed = parse(Parameters, {**everything, "seed": 2**63 - 1}).seed
    np.random.default_rng(seed)
    X = np.arange(20.0).reshape(-1, 1)
    CatBoostRegressor(iterations=1, random_seed=seed, verbose=0, allow_writing_files=False).fit(
        X, X[:, 0]
    )


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize(
    "name",
    ["horizon", "max_stores", "gate.max_bias", "reporting.coverage_band", "modeling.ridge.alphas"],
)
def test_parse_ConfigError_when_yes_or_no_is_given_for_a_number(everything, name, value):
    """`horizon=true` would forecast one day ahead."""
    wrong = {"reporting.coverage_band": [value, 85], "modeling.ridge.alphas": {"one": value}}
    *groups, last = name.split(".")
    group = everything
    for one in groups:
        group = group.setdefault(one, {})
    group[last] = wrong.get(name, value)
    message = refusal(Parameters, everything)
    assert (
        message == f"found parameter {name!r} = {group[last]!r}; expected a number, not yes or no"
    )


@pytest.mark.parametrize(
    "as_of",
    [20170630, "20170630", 1498780800, "1498780800", 1498780800.0, True, "30.6.2017"],
)
def test_parse_ConfigError_when_as_of_is_no_written_day(everything, as_of):
    """1498780800 is the midnight before 2017-06-30, in seconds since 1970."""
    message = refusal(Parameters, {**everything, "as_of": as_of})
    assert message == f"found parameter 'as_of' = {as_of!r}; expected a day, YYYY-MM-DD"
    everything["data_processing"]["date_floor"] = as_of
    message = refusal(Parameters, everything)
    assert message.endswith(f"date_floor' = {as_of!r}; expected a day, YYYY-MM-DD")


@pytest.mark.parametrize("as_of", ["2017-02-30", "2017-06-30 10:00"])
def test_parse_ConfigError_when_as_of_is_no_day(everything, as_of):
    message = refusal(Parameters, {**everything, "as_of": as_of})
    assert message.startswith(f"found parameter 'as_of' = {as_of!r}; expected ")


@pytest.mark.parametrize("as_of", ["2017-06-30", "2017-06-30T00:00:00", date(2017, 6, 30)])
def test_as_of_is_a_day_or_its_text(everything, as_of):
    assert str(parse(Parameters, {**everything, "as_of": as_of}).as_of) == "2017-06-30"


@pytest.mark.parametrize("candidates", [["direct"], ["base", "base"], []])
def test_parse_ConfigError_when_the_fallback_is_missing_or_repeated(modeling, candidates):
    message = refusal(ModelSettings, modeling | {"candidates": candidates})
    assert "without repeats that holds base, the fallback of every store" in message


def test_parse_ConfigError_when_candidate_is_unknown(modeling):
    message = refusal(ModelSettings, modeling | {"candidates": ["base", "prophet"]})
    assert message.startswith("found parameter 'candidates.1' = 'prophet'; expected input should")


@pytest.mark.parametrize("band", [[85, 75], [80, 80], [-1, 50], [75, 101]])
def test_parse_ConfigError_when_the_coverage_band_is_no_range(everything, band):
    everything["reporting"]["coverage_band"] = band
    message = refusal(Parameters, everything)
    assert message.startswith("found parameter 'reporting.coverage_band' = ")
    assert message.endswith("two percentages, the lower one first")


def test_parse_ConfigError_when_a_group_is_missing(everything):
    del everything["modeling"]
    message = "found no parameter 'modeling'; expected it in conf/base/parameters*.yml"
    assert refusal(Parameters, everything) == message


def subclasses(model):
    return [model, *(deep for kind in model.__subclasses__() for deep in subclasses(kind))]


@pytest.mark.parametrize("model", subclasses(Closed))
def test_every_group_is_closed_and_frozen(model):
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["frozen"]
    assert issubclass(ReportSettings, Closed)


def test_strictest_tier_comes_first_wherever_it_is_configured(everything):
    """What another environment adds stands behind those of base."""
    loose, strict = {"min_r2": 0.5, "max_smape": 30}, {"min_r2": 0.9, "max_smape": 10}
    everything["reporting"]["tiers"] = {"B": loose, "A": strict, "A2": strict | {"max_smape": 20}}
    assert list(parse(Parameters, everything).reporting.tiers) == ["A", "A2", "B"]
