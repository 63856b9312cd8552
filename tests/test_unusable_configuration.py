"""Files of conf/ and a store that cannot be used: one error says where, and nothing is tracked."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from lifemiles_forecasting.cli import cli
from lifemiles_forecasting.core.errors import ConfigError, TrackingError


@pytest.fixture
def opened(fresh_project, monkeypatch):
    """Open the project as every Kedro command does; files of conf/ by name are written before."""
    monkeypatch.chdir(fresh_project.folder)
    for name in [n for n in os.environ if n.startswith(("LIFEMILES_", "MLFLOW_TRACKING_URI"))]:
        monkeypatch.delenv(name)

    def context(files, env=None, **parameters):
        for name, text in files.items():
            (fresh_project.folder / "conf" / name).write_text(text)
        bootstrap_project(fresh_project.folder)
        with KedroSession.create(
            fresh_project.folder, env=env, runtime_params=parameters
        ) as session:
            return session.load_context()

    return context


@pytest.fixture
def refused(opened, fresh_project):
    """The message with which a configuration is refused."""

    def message(*arguments, **parameters):
        with pytest.raises(ConfigError) as caught:
            opened(*arguments, **parameters)
        assert not (fresh_project.folder / "mlflow.db").exists()
        return str(caught.value)

    return message


@pytest.mark.parametrize(
    ("name", "place", "usual"),
    [
        ("raw_transactions", "exports", "data/01_raw/transactions"),
        ("data_root", "outputs", "data"),
        ("events", "plan.csv", None),
    ],
)
def test_place_in_a_parameters_file_is_refused_where_the_catalog_takes_another(
    refused, name, place, usual
):
    assert refused({"local/parameters_mine.yml": f"{name}: {place}\n"}) == (
        f"found {name} = {place!r} in a parameters file, where the catalog does not look: it "
        f"takes {usual!r}; expected no {name} of its own in any conf/*/parameters*.yml. Put it "
        f"into `paths` of globals.yml of the environment, or give --params={name}=..."
    )


def test_place_in_globals_or_at_run_time_reaches_the_catalog(opened, fresh_project):
    """Run-time parameters go before both files, and an empty one leaves the plan of events out."""
    files = {
        "local/globals.yml": "paths: {raw_transactions: exports, events: plan.csv}\n",
        "local/parameters.yml": "raw_transactions: exports\ndata_root: never_used\n",
    }
    loader = opened(files, data_root="outputs", events=None).config_loader
    assert loader["parameters"]["raw_transactions"] == "exports"
    catalog = loader["catalog"]
    assert catalog["raw_transactions"]["filepath"] == "exports"
    assert catalog["events"]["filepath"] is None
    assert catalog["store_metrics"]["filepath"] == "outputs/08_reporting/store_metrics.csv"


@pytest.fixture
def older_store(fresh_project, empty_store):
    """A tracking store of another version of MLflow; gives its address."""
    shutil.copy(empty_store, fresh_project.folder / "mlflow.db")
    with closing(sqlite3.connect(fresh_project.folder / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '0a8213491aaa'")
        database.commit()
    return fresh_project.tracking_uri


def test_tables_of_another_version_of_mlflow_end_with_what_to_do(opened, older_store):
    expected = (
        f"found tables of another version of MLflow in the tracking store at {older_store}; "
        "expected those of the installed version, as after an update of MLflow. Back it up with "
        f"`kedro tracking backup DEST`, then run `mlflow db upgrade {older_store}`"
    )
    with pytest.raises(TrackingError) as caught:
        opened({})
    assert str(caught.value) == expected
    for command in (["explore"], ["models", "show"]):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)  # no traceback
        assert f"Error: {expected}" in result.stderr
