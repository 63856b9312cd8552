from lifemiles_forecasting.tracking.entities import clean_key, metrics_of, params_of, tags_of
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


def test_flatten_agrees_with_kedro_mlflow():
    from kedro_mlflow.framework.hooks.utils import _flatten_dict

    nested = {"a": {"b": {"c": 1, "d": [1, 2]}, "e": {}}, "f": None}
    assert flatten(nested) == _flatten_dict(nested) == {"a.b.c": 1, "a.b.d": [1, 2], "f": None}
