"""What a run that cannot succeed says: one line, exit code 1, and nothing is lost."""

import hashlib
import os
import shutil
import socket
import time

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project
from mlflow.tracking import MlflowClient
from small_models import as_parameters

from lifemiles_forecasting.cli import cli

HERE = "modeling.workers=1,modeling.store_seconds=null"  # one process less to start


def fingerprints(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory, copy_project, few_stores):
    """A project with the outputs of a good run on a few stores."""
    project = copy_project(tmp_path_factory.mktemp("finished"))
    given = f"--params=raw_transactions={few_stores},{HERE},{as_parameters()}"
    result = project.kedro("run", "--env=quick", given)
    assert result.returncode == 0, result.stderr
    return project


@pytest.fixture
def command(finished, monkeypatch):
    """`kedro` inside this process: without the seconds of starting Python."""
    before = mlflow.get_tracking_uri()
    for name in ("MLFLOW_TRACKING_URI", *(n for n in os.environ if n.startswith("LIFEMILES_"))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(finished.folder)
    bootstrap_project(finished.folder)
    yield lambda *arguments: CliRunner().invoke(cli, arguments)
    mlflow.set_tracking_uri(before)


@pytest.fixture
def refused(finished, few_stores, command, monkeypatch):
    """Run with these parameters; gives the one line of the error."""

    def run(*parameters, untouched=True, **variables):
        outputs = finished.output("")
        before = fingerprints(outputs)
        given = {"raw_transactions": str(few_stores)} | dict(p.split("=", 1) for p in parameters)
        text = ",".join(f"{name}={value}" for name, value in given.items())
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        line = the_error(command("run", "--env=quick", f"--params={text}"))
        after = fingerprints(outputs)
        assert set(after) == set(before)
        changed = {name for name in before if before[name] != after[name]}
        # a panel is written before it can be found too short; what people read never is
        tables = ("02_intermediate/", "03_primary/", "08_reporting/row_balance.json")
        assert not changed if untouched else all(name.startswith(tables) for name in changed)
        return line

    return run


def the_error(result):
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)  # no traceback
    assert result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    return line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--params=max_store=5"], "Error: found an unknown parameter 'max_store'; "),
        (["--params=horizon=0"], "Error: found parameter 'horizon' = 0; "),
        (["--env=prodution"], "Error: found no environment 'prodution' in "),
        (["--pipelines=model"], "Error: found no pipeline 'model'; "),
    ],
)
def test_what_a_run_does_not_know_is_refused_before_one_is_created(
    finished, command, arguments, message
):
    client = MlflowClient(tracking_uri=finished.tracking_uri)
    before = len(client.search_runs(["1"]))
    assert the_error(command("run", *arguments)).startswith(message)
    assert len(client.search_runs(["1"])) == before


def test_a_plan_of_events_that_cannot_be_read(refused, tmp_path):
    plan = tmp_path / "plan.csv"
    plan.write_text("start_date,end_date,nombre\n2017-12-01,2017-12-03,doble\n", "utf-8")
    line = refused(f"events={plan}")
    assert line == (
        "Error: found an unknown column 'nombre' in plan.csv; expected one of partner_code, "
        "store_code, start_date, end_date, name, value. Did you mean 'name'?"
    )


def test_empty_folder(refused, tmp_path):
    line = refused(f"raw_transactions={tmp_path}")
    assert line == (
        f"Error: found no .csv or .csv.gz file in {tmp_path}; expected at least one. "
        "Choose another folder with --params=raw_transactions=DIR."
    )


def test_missing_required_column(refused, few_stores, tmp_path):
    for file in few_stores.glob("*.csv"):
        shutil.copy(file, tmp_path)
    damaged = tmp_path / "data_lm_201711.csv"
    pd.read_csv(damaged, dtype=str).drop(columns="Store Code").to_csv(damaged, index=False)
    line = refused(f"raw_transactions={tmp_path}")
    assert line.startswith("Error: found no column 'Store Code' in data_lm_201711.csv, which has: ")
    assert "expected it in every file" in line


def test_binary_file_named_csv(refused, few_stores, tmp_path):
    for file in few_stores.glob("*.csv"):
        shutil.copy(file, tmp_path)
    (tmp_path / "photo.csv").write_bytes(bytes(range(256)) * 20)
    line = refused(f"raw_transactions={tmp_path}")
    assert line.startswith("Error: found a binary file photo.csv")
    assert "expected text in CSV form" in line


def test_decimal_commas_in_one_of_the_files(refused, few_stores, tmp_path):
    for file in few_stores.glob("*.csv"):
        shutil.copy(file, tmp_path)
    damaged = tmp_path / "data_lm_201711.csv"
    rows = pd.read_csv(damaged, dtype=str, keep_default_na=False)
    rows["Facturación"] = rows["Facturación"].str.replace(".", ",")
    rows.to_csv(damaged, index=False)
    line = refused(f"raw_transactions={tmp_path}", untouched=False)
    assert "rows in data_lm_201711.csv that cannot be used (not a number), the first in" in line
    assert "expected a file as data_processing.decimal says" in line


def test_no_store_with_enough_history(refused):
    line = refused("min_samples=5000", untouched=False)
    assert "found no store with enough history: the longest of 10 stores has" in line
    assert "expected at least one with 5000 (min_samples)" in line


def test_too_few_days_for_the_horizon(refused):
    line = refused("horizon=60", untouched=False)
    assert line.startswith("Error: found 122 days of data, 2017-09-01 to 2017-12-31; expected")


def test_unknown_nested_parameter(refused):
    line = refused("modeling.n_window=5")
    assert "found an unknown parameter 'modeling.n_window'" in line
    assert line.endswith("Did you mean 'n_windows'?")


def test_tracking_server_that_is_not_there(refused):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        started = time.monotonic()
        line = refused(MLFLOW_TRACKING_URI=address, no_proxy="127.0.0.1")
    assert time.monotonic() - started < 15
    assert f"no usable MLflow tracking store at {address}" in line


def test_variable_that_mlflow_yml_takes_a_value_from_but_nobody_set(fresh_project):
    (fresh_project.folder / "conf" / "local" / "mlflow.yml").write_text(
        "server:\n  mlflow_tracking_uri: ${oc.env:NIGHTLY_SERVER}\n"
    )
    result = fresh_project.kedro("run")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert (
        "Error: found no environment variable NIGHTLY_SERVER; expected it to be set, because "
        "server.mlflow_tracking_uri of mlflow.yml is taken from it."
    ) in result.stderr
