"""What kedro-mlflow's hook does to a run beside what this project writes to it."""

import sys

import mlflow
import pytest
from kedro.io import DataCatalog
from kedro.pipeline import node
from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook, mlflow_hook
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.mlflow_plugin import forget_run, log_parameters_once
from lifemiles_forecasting.tracking.flat import flatten
from lifemiles_forecasting.tracking.lifecycle import describe
from lifemiles_forecasting.tracking.store import tune_sqlite

GIVEN = {"seed": 7, "modeling": {"workers": None, "holidays": {"Perú//": "PE"}}}


@pytest.fixture
def described(tmp_path, monkeypatch):
    """A run with the whole configuration, and how many requests kedro-mlflow adds to it."""
    before = mlflow.get_tracking_uri()
    tune_sqlite()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    hook, requests = MlflowHook(), []
    hook._is_mlflow_enabled, hook.flatten, hook.recursive, hook.sep = True, True, True, "."
    hook.long_params_strategy, hook.run_id = "truncate", None
    hook.sanitize_param_name = lambda name: name
    log_param = mlflow.log_param
    monkeypatch.setattr(
        mlflow, "log_param", lambda *given: requests.append(given) or log_param(*given)
    )
    monkeypatch.setattr(sys.modules[MlflowHook.__module__], "mlflow_hook", hook)
    with mlflow.start_run(experiment_id=MlflowClient().create_experiment("any")) as run:
        describe(run.info.run_id, flatten(GIVEN), {})
        yield hook, requests, run.info.run_id
    mlflow.set_tracking_uri(before)


def run_node(hook, **inputs):
    """What kedro-mlflow does before a node with these inputs."""
    taken = node(lambda *_: None, [*inputs], None, name="any")
    hook.before_node_run(taken, DataCatalog(), inputs, is_async=False)


def params_of(run_id):
    return MlflowClient().get_run(run_id).data.params


def test_parameters_of_nodes_are_not_logged_again(described):
    hook, requests, run_id = described
    before = params_of(run_id)
    log_parameters_once(flatten(GIVEN))
    run_node(hook, **{"params:seed": 7, "params:modeling": GIVEN["modeling"]})
    run_node(hook, parameters=GIVEN)
    assert requests == []
    assert params_of(run_id) == before
    assert before["modeling.holidays.Perú__"] == "PE"


def test_what_the_configuration_does_not_know_is_logged_by_a_name_that_mlflow_takes(described):
    hook, requests, run_id = described
    log_parameters_once(flatten(GIVEN))
    run_node(hook, **{"params:own": {"share": 0.5, "a//": 1}})
    assert requests == [("own.share", 0.5), ("own.a__", 1)]
    assert params_of(run_id)["own.share"] == "0.5"


def test_without_it_they_would_be(described):
    """The same nodes and kedro-mlflow's own way: the tests above can fail."""
    hook, requests, _ = described
    run_node(hook, **{"params:seed": 7}, parameters={"seed": 7})
    assert requests == [("seed", 7), ("parameters.seed", 7)]


def test_the_run_before_is_forgotten(monkeypatch):
    monkeypatch.setattr(mlflow_hook, "run_id", "0" * 32)
    forget_run()
    assert mlflow_hook.run_id is None
