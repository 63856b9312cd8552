import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.utils import validation

from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.tracking.entities import (
    clean_key,
    keys_of,
    metrics_of,
    params_of,
    tags_of,
)
from lifemiles_forecasting.tracking.flat import flatten


def test_metrics_of_drops_what_is_no_number_and_says_so():
    values = {"r2": 0.5, "smape": float("nan"), "bias": float("-inf"), "mase": None, "n": 3}
    metrics, tag = metrics_of(values)
    assert {metric.key: metric.value for metric in metrics} == {"r2": 0.5, "n": 3.0}
    assert tag == {"nonfinite_metrics": "smape, bias, mase"}
    assert metrics_of({"r2": 0.5})[1] == {}


def test_params_and_tags_are_cut_at_the_limit():
    (param,) = params_of({"long": "x" * 10_000})
    (tag,) = tags_of({"long": "x" * 10_000})
    assert (len(param.value), len(tag.value)) == (6_000, 8_000)
    assert params_of({"max_stores": None})[0].value == "None"


def test_clean_key_replaces_what_mlflow_refuses():
    assert clean_key("a.b/c-d e:f") == "a.b/c-d e:f"
    assert clean_key("MUY BUENO (+)") == "MUY BUENO ___"


@given(st.text(max_size=300) | st.text("./a ", max_size=12) | st.text("ab/", min_size=245))
@example("modeling.holidays.countries.EE.UU./")
@example("a" * 250)
@example("/" * 250)
@example(".." + "a" * 248)
def test_clean_key_is_one_that_mlflow_takes(name):
    key = clean_key(name)
    (metric,), _ = metrics_of({name: 1.0})
    validation._validate_param(key, "1")
    validation._validate_tag(tags_of({name: 1})[0].key, "1")
    validation._validate_metric(metric.key, 1.0, metric.timestamp, 0)
    assert clean_key(key) == key
    try:
        validation._validate_param(name, "1")
    except MlflowException:
        return
    assert key == name


def test_long_keys_that_begin_alike_stay_apart():
    assert clean_key("x" * 300 + "a") != clean_key("x" * 300 + "b")


@given(st.lists(st.text("a/+*! .", min_size=1, max_size=4), unique=True))
@example(["x" * 300 + "+", "x" * 250, "x" * 300 + "-"])
def test_no_two_names_are_one_metric_or_one_tag(names):
    """A tier's stores are not lost because another tier's name is alike to MLflow."""
    keys = keys_of(names)
    assert len(set(keys.values())) == len(names)
    values = {name: float(k) for k, name in enumerate(names)}
    metrics, _ = metrics_of(values)
    assert {metric.key: metric.value for metric in metrics} == {keys[n]: values[n] for n in names}
    tags = {tag.key: tag.value for tag in tags_of(values)}
    assert tags == {keys[name]: str(values[name]) for name in names}
    for metric in metrics:
        validation._validate_metric(metric.key, 1.0, metric.timestamp, 0)


def test_name_that_stands_alone_keeps_its_key():
    assert keys_of(["MUY BUENO (+)", "BUENO"]) == {
        "MUY BUENO (+)": "MUY BUENO ___",
        "BUENO": "BUENO",
    }


def test_params_of_ConfigError_when_two_names_are_one_to_mlflow():
    expected = (
        r"found the names 'a\.\*' and 'a\.\+', which are one to MLflow; "
        r"expected names that differ by letters or digits. Rename one of them"
    )
    with pytest.raises(ConfigError, match=expected):
        params_of({"a.*": 1, "b": 2, "a.+": 3})


def test_flatten_agrees_with_kedro_mlflow():
    from kedro_mlflow.framework.hooks.utils import _flatten_dict

    nested = {"a": {"b": {"c": 1, "d": [1, 2]}, "e": {}}, "f": None}
    assert flatten(nested) == _flatten_dict(nested) == {"a.b.c": 1, "a.b.d": [1, 2], "f": None}
