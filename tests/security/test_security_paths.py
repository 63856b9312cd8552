"""Every path on the command line stays inside the project, unless it says otherwise."""

import os
from pathlib import Path, PurePosixPath

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from kedro.framework.startup import bootstrap_project
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.cli import run as run_command
from lifemiles_forecasting.cli_paths import check_stays_inside
from lifemiles_forecasting.cli_tracking import tracking
from lifemiles_forecasting.core.config import Parameters, parse
from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.paths import may_be_used

PROJECT = PurePosixPath("/home/me/project")
parts = st.lists(st.sampled_from(["..", ".", "a", "b..", "...", "data", ""]), max_size=6)


@given(parts)
def test_relative_path_that_may_be_used_ends_up_inside(given_parts):
    path = "/".join(given_parts)
    if may_be_used(path) and not path.startswith("/"):
        place = PurePosixPath(os.path.normpath(PROJECT / path))
        assert place.is_relative_to(PROJECT)


@pytest.mark.parametrize("path", ["data", "a/b", "./a", "a..b", "..a/b", "/", "/mnt/x/../y", "a~"])
def test_places_that_may_be_used(path):
    assert may_be_used(path)


@pytest.mark.parametrize(
    "path",
    [
        *("..", "../a", "a/../../b", "a/..", "", " ", "s3://me:key@bucket", "file:///a", "a\0b"),
        *("~", "~/out", "~me/out"),
    ],
)
def test_places_that_may_not(path):
    assert not may_be_used(path)


@pytest.mark.parametrize("name", ["data_root", "raw_transactions", "events"])
def test_parameter_that_climbs_out_is_refused(name):
    with pytest.raises(ConfigError) as caught:
        parse(Parameters, {"data_root": "data", "raw_transactions": "data", name: "../elsewhere"})
    assert str(caught.value) == (
        f"found parameter {name!r} = '../elsewhere'; expected a path of this machine: inside the "
        "project, or absolute, which may lead anywhere"
    )


@pytest.mark.parametrize("name", ["data_root", "raw_transactions", "events"])
def test_parameter_that_begins_with_a_tilde_is_refused(name):
    with pytest.raises(ConfigError) as caught:
        parse(Parameters, {"data_root": "data", "raw_transactions": "data", name: "~/out"})
    assert str(caught.value) == (
        f"found parameter {name!r} = '~/out'; expected a path that is written out: ~ is for "
        "shells, and here a folder of that name"
    )


def test_command_with_a_climbing_parameter_writes_nothing(fresh_project):
    fresh_project.output("mlflow.db", "").unlink()
    result = fresh_project.kedro("run", "--params=data_root=../elsewhere")
    assert result.returncode == 1
    (line,) = [one for one in result.stderr.splitlines() if one.startswith("Error: ")]
    assert line.startswith(
        "Error: found parameter 'data_root' = '../elsewhere'; expected a path of"
    )
    assert [path.name for path in fresh_project.folder.parent.iterdir()] == ["project"]
    assert not fresh_project.output("mlflow.db", "").exists()


@pytest.fixture
def inside(fresh_project, monkeypatch):
    """The folder that commands are called from: one below the project's."""
    folder = fresh_project.folder / "conf"
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


@pytest.mark.parametrize(
    ("command", "arguments", "name"),
    [
        (tracking, ["backup", "../../out.tar.gz"], "DEST"),
        (tracking, ["restore", "../../out.tar.gz"], "SOURCE"),
        (run_command, ["--conf-source=../../conf"], "conf_source"),
        (run_command, ["--config=../../run.yml"], "config"),
    ],
)
def test_argument_that_climbs_out_is_refused(inside, command, arguments, name):
    (inside.parents[1] / "conf").mkdir()
    (inside.parents[1] / "run.yml").write_text("run: {params: {horizon: 7}}\n")
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 1
    path = arguments[-1].rpartition("=")[2]
    assert result.output == (
        f"Error: found {name} {path!r}, which leads out of the project {inside.parent}; "
        "expected a path inside it, or an absolute one, which may lead anywhere\n"
    )
    assert {path.name for path in inside.parents[1].iterdir()} == {"project", "conf", "run.yml"}


@pytest.mark.parametrize("path", ["../backup", "backup", ".", "../conf/../backup"])
def test_argument_inside_the_project_is_taken(inside, path):
    check_stays_inside("DEST", path, inside)


@pytest.mark.parametrize("path", ["~", "~/backup", "~me/backup"])
def test_tilde_that_no_shell_has_filled_in_is_refused(inside, tmp_path, path):
    for folder in (inside, tmp_path):
        with pytest.raises(ConfigError) as caught:
            check_stays_inside("DEST", path, folder)
        assert str(caught.value) == (
            f"found DEST {path!r}; expected a path that is written out: ~ is for shells, and here "
            "a folder of that name"
        )
    check_stays_inside("DEST", "./~", inside)


def test_absolute_argument_says_so(inside, tmp_path):
    check_stays_inside("DEST", str(tmp_path / "backups"), inside)


def test_outside_of_any_project_there_is_nothing_to_stay_in(tmp_path):
    check_stays_inside("DEST", "../backups", tmp_path)


def test_link_inside_the_project_is_the_users_own_word(inside, tmp_path):
    (inside / "backups").symlink_to(tmp_path)
    check_stays_inside("DEST", "backups/today", inside)


def test_only_text_decides(inside):
    """A link does not turn a climbing path into one that stays."""
    (inside / "link").symlink_to("/")
    with pytest.raises(ConfigError, match="leads out of the project"):
        check_stays_inside("DEST", "link/../../../x", inside)


def test_backup_by_a_relative_path_is_put_there(inside):
    """A whole command, from a folder below the project."""
    bootstrap_project(inside.parent)
    MlflowClient(tracking_uri=f"sqlite:///{inside.parent / 'mlflow.db'}").search_experiments()
    result = CliRunner().invoke(tracking, ["backup", "../saved"])
    assert result.exit_code == 0, result.output
    assert Path(inside.parent / "saved" / "manifest.json").is_file()
