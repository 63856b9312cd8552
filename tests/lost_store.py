"""Training runs whose tracking store goes away, and what is left of them."""

import subprocess

from nights import FULL_QUICK


def parameters(few_stores):
    return f"--params=raw_transactions={few_stores},modeling.workers=1,gate.max_bias=1000"


def start(project, few_stores, uri, **variables):
    """Start a run of all stores."""
    command = ("run", f"--env={FULL_QUICK}", parameters(few_stores))
    pipes = {"output": subprocess.PIPE, "errors": subprocess.STDOUT}
    return project.start(*command, MLFLOW_TRACKING_URI=uri, **pipes, **variables)


def said_until(run, words):
    """Read what a run says until it says these words."""
    said = ""
    for line in run.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


def every_run(client):
    """Runs of all experiments by their id."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_id: run for run in client.search_runs(experiments, max_results=1_000)}


def assert_replayed(client, spooled):
    """Every run of a spool is in the store once, as it was.

    Args:
        client: of the store.
        spooled: `every_run` of the spool before it was replayed.
    """
    copies = [run for run in every_run(client).values() if "replayed_from" in run.data.tags]
    there = {run.data.tags["replayed_from"]: run for run in copies}
    assert len(copies) == len(there)
    assert there.keys() == spooled.keys()
    parents = {run_id: run.info.run_id for run_id, run in there.items()}
    for run_id, ours in spooled.items():
        theirs = there[run_id]
        assert theirs.data.metrics == ours.data.metrics
        assert theirs.data.params == ours.data.params
        assert theirs.info.status == ours.info.status
        assert theirs.info.end_time == ours.info.end_time
        assert inputs_of(theirs) == inputs_of(ours)
        parent = ours.data.tags.get("mlflow.parentRunId")
        assert theirs.data.tags.get("mlflow.parentRunId") == parents.get(parent)
        if parent is not None:
            found = {file.path for file in client.list_artifacts(theirs.info.run_id)}
            assert {"model", "scaler"} <= found


def inputs_of(run):
    """Name and digest of the data sets that a run was given."""
    return {(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs}
