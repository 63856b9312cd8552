"""`kedro run --params` as a dictionary: text, numbers and lists of both."""

import json

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from kedro.framework.cli.utils import _split_params

from lifemiles_forecasting import cli
from lifemiles_forecasting.cli_parameters import run_parameters

WORDS = st.text("abcdefghijklmnopqrstuvwxyz_/", min_size=2, max_size=8).map("w{}".format)
SCALARS = st.one_of(
    WORDS,
    st.integers(-999, 999),
    st.booleans(),
    st.floats(-9, 9).map(lambda number: round(number, 3)),
    st.none(),
)
NAMES = ("horizon", "modeling.workers", "modeling.candidates", "reporting.metrics", "as_of")


def written(value):
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def nested(flat):
    tree = {}
    for name, value in flat.items():
        group, _, key = name.rpartition(".")
        (tree.setdefault(group, {}) if group else tree)[key] = value
    return tree


@given(st.dictionaries(st.sampled_from(NAMES), st.one_of(SCALARS, st.lists(SCALARS, max_size=4))))
def test_lists_and_values_arrive_as_what_they_are(flat):
    text = ",".join(f"{name}={written(value)}" for name, value in flat.items())
    assert run_parameters(text) == nested(flat)


@given(st.dictionaries(st.sampled_from(NAMES), SCALARS))
def test_without_lists_the_reading_is_that_of_kedro(flat):
    text = " , ".join(f"{name} = {written(value)}" for name, value in flat.items()) + ","
    assert run_parameters(text) == _split_params(None, None, text)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("", {}),
        ("stores=0101_0007", {"stores": ["0101_0007"]}),
        (
            "stores=['0101_0007', \"1_2\" ],horizon=7",
            {"stores": ["0101_0007", "1_2"], "horizon": 7},
        ),
        ("target=miles, stores = []", {"target": "miles", "stores": []}),
        ("leak_audit.stores=8", {"leak_audit": {"stores": 8}}),
        (
            "data_processing.decimal=',',horizon=7",
            nested({"data_processing.decimal": ",", "horizon": 7}),
        ),
        (
            "raw_transactions=/of [mine]/x,horizon=7",
            {"raw_transactions": "/of [mine]/x", "horizon": 7},
        ),
        (
            "raw_transactions=/x/h #2,data_root=out #1,events=/a: b.csv",
            {"raw_transactions": "/x/h #2", "data_root": "out #1", "events": "/a: b.csv"},
        ),
        ("horizon=0,as_of=2017-01-31", {"horizon": 0, "as_of": "2017-01-31"}),
        ("seed=08,horizon=1_0", {"seed": "08", "horizon": 10}),
        ("model_alias='014'", {"model_alias": "014"}),
        ("data_root=2024", {"data_root": "2024"}),
        ("data_root='/a, b',events=null", {"data_root": "/a, b", "events": None}),
        ("data_root=it's,events=", {"data_root": "it's", "events": None}),
        ("stores=null", {"stores": None}),
        ("model_alias='a #b'", {"model_alias": "a #b"}),
        (
            "modeling.holidays.regions={DE: BY}",
            {"modeling": {"holidays": {"regions": {"DE": "BY"}}}},
        ),
    ],
)
def test_store_ids_and_paths_are_text_and_a_comma_may_be_quoted(text, parameters):
    assert run_parameters(text) == parameters


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("horizon", "horizon"),
        ("horizon=7,=3", "=3"),
        ("modeling.candidates=[base,ets", "modeling.candidates=[base"),
        ("as_of=@", "as_of=@"),
        ("horizon=7 #8", "horizon=7 #8"),
        ("horizon=014", "horizon=014"),
        ("horizon=0x1F", "horizon=0x1F"),
        ("reporting.coverage_band=[075,85]", "reporting.coverage_band=[075,85]"),
        ("horizon=1:30", "horizon=1:30"),
        ("modeling.candidates=[base,ets] #8", "modeling.candidates=[base,ets] #8"),
        ("target=#miles", "target=#miles"),
        ("target=miles: 7", "target=miles: 7"),
        ("target=- miles", "target=- miles"),
        ("target=${oc.env:X", "target=${oc.env:X"),
    ],
)
def test_what_cannot_be_read_is_one_error(text, item):
    with pytest.raises(click.BadParameter, match=r"^found .*; expected "):
        run_parameters(text)
    result = CliRunner().invoke(cli.cli, ["run", f"--params={text}"])
    assert result.exit_code == 2
    assert f"Invalid value for '--params': found {item!r}; expected " in result.stderr


def test_lists_of_a_command_reach_kedro(monkeypatch):
    asked = {}
    monkeypatch.setattr(cli.kedro_run, "callback", lambda **options: asked.update(options))
    text = "modeling.candidates=[base,ets],reporting.metrics=[mae],horizon=14"
    assert CliRunner().invoke(cli.cli, ["run", f"--params={text}"]).exit_code == 0
    assert asked["params"] == {
        "modeling": {"candidates": ["base", "ets"]},
        "reporting": {"metrics": ["mae"]},
        "horizon": 14,
    }


OPTIONS = (
    "from_inputs, to_outputs, from_nodes, to_nodes, node_names, runner, is_async, runner_params, "
    "env, tags, load_versions, pipeline, pipelines, namespaces, conf_source, params, "
    "only_missing_outputs"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tags: a\n",
            "found no group 'run' in {file}; expected it, with options of ",
        ),
        ("", "found no group 'run' in {file}; expected it, "),
        ("run: null\n", "found no group 'run' in {file}; expected it, "),
        ("- run\n", "found no group 'run' in {file}; expected it, "),
        (
            "run: [a\nb: 1\n",
            "found expected ',' or ']', but got ':' in line 2 of {file}; expected the YAML",
        ),
        ("run: {tags: a}\nrun: {}\n", "found duplicate key run in line 2 of {file}; expected the "),
        (
            "run: {pipelnes: modeling}\n",
            f"found no option 'pipelnes', which is in {{file}}; expected one of {OPTIONS}. "
            "Did you mean 'pipelines'?",
        ),
        (
            "run: {config: a.yml}\n",
            "found no option 'config', which is in {file}; expected one of ",
        ),
        (
            "run: {pipelines: [modeling, reporting]}\n",
            "found pipelines = ['modeling', 'reporting'] in {file}; expected text, such as "
            "`pipelines: one,another`",
        ),
    ],
)
def test_file_of_options_that_cannot_be_used_is_one_error(tmp_path, text, message):
    file = tmp_path / "run.yml"
    file.write_text(text)
    result = CliRunner().invoke(cli.cli, ["run", f"--config={file}"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)  # no traceback
    assert result.stderr.startswith(f"Error: {message.format(file=file)}")


def test_file_of_options_reaches_kedro(monkeypatch, tmp_path):
    asked, file = {}, tmp_path / "run.yml"
    monkeypatch.setattr(cli.kedro_run, "callback", lambda **options: asked.update(options))
    file.write_text("run: {pipelines: 'modeling,reporting', params: {horizon: 7}, is_async: true}")
    assert CliRunner().invoke(cli.cli, ["run", f"--config={file}"]).exit_code == 0
    assert asked["pipelines"] == ["modeling", "reporting"]
    assert asked["params"] == {"horizon": 7}
    assert asked["is_async"] is True
