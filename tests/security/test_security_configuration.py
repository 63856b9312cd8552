"""What a hostile conf/ and hostile --params can do: nothing, and one clear error says so."""

import importlib
import os
import sys

import pytest
import yaml

from lifemiles_forecasting.config_checks import (
    DATASET_TYPES,
    check_catalog,
    check_no_passwords,
    check_runtime_parameters,
    check_tracking,
)
from lifemiles_forecasting.core.errors import ConfigError

CANARY = "the_code_has_run"


@pytest.fixture
def refused(open_project, fresh_project):
    """The message with which a configuration is refused; nothing has run and nothing is tracked."""
    (fresh_project.folder / "mlflow.db").unlink()  # and would be made by whoever asks for it

    def message(*arguments, **parameters):
        with pytest.raises(ConfigError) as caught:
            open_project(*arguments, **parameters)
        assert not (fresh_project.folder / CANARY).exists()
        assert not (fresh_project.folder / "mlflow.db").exists()
        return str(caught.value)

    return message


EVIL_MODULE = f"""
from pathlib import Path
Path({CANARY!r}).touch()
from kedro.io import MemoryDataset
class Evil(MemoryDataset):
    pass
"""


@pytest.mark.parametrize(
    "entry",
    [
        "{type: evil.Evil}",
        "{type: kedro_mlflow.io.artifacts.MlflowArtifactDataset, dataset: {type: evil.Evil}}",
        "{type: kedro_mlflow.io.artifacts.MlflowArtifactDataset, dataset: evil.Evil}",
    ],
)
def test_catalog_entry_of_another_class_is_refused_before_it_is_imported(
    refused, fresh_project, monkeypatch, entry
):
    (fresh_project.folder / "evil.py").write_text(EVIL_MODULE)
    monkeypatch.syspath_prepend(str(fresh_project.folder))
    found = refused({"local/catalog_x.yml": f"extra: {entry}\n"})
    assert found.startswith("found catalog entry 'extra' of type 'evil.Evil'; expected one of ")
    assert "DATASET_TYPES of config_checks.py" in found
    assert "evil" not in sys.modules
    importlib.import_module("evil")  # and this is what would have happened
    del sys.modules["evil"]
    assert (fresh_project.folder / CANARY).exists()


def test_pickled_entry_is_refused(refused, fresh_project):
    entry = {"type": "pickle.PickleDataset", "filepath": "data/model.pkl"}
    found = refused({"local/catalog_x.yml": yaml.safe_dump({"panel": entry})})
    assert "catalog entry 'panel' of type 'pickle.PickleDataset'" in found


@pytest.mark.parametrize("entry", [{}, {"type": None}, {"type": ["x"]}, {"type": "os.system"}])
def test_type_that_is_no_name_of_ours_is_refused(entry):
    if isinstance(entry.get("type"), list):
        entry = {"type": str(entry["type"])}
    with pytest.raises(ConfigError, match="found catalog entry 'x' of type"):
        check_catalog({"x": entry})


def test_every_type_that_is_allowed_is_used_and_the_other_way_round(open_project):
    used = set()
    for env in (None, "postgres", "spark"):
        for entry in open_project(env=env).config_loader["catalog"].values():
            used |= {entry["type"], entry.get("dataset", entry)["type"]}
    assert used == DATASET_TYPES


@pytest.mark.parametrize("kind", ["catalog", "parameters", "globals", "mlflow"])
def test_yaml_that_builds_objects_is_refused(refused, kind):
    evil = f'x: !!python/object/apply:os.system ["touch {CANARY}"]\n'
    found = refused({f"local/{kind}_x.yml" if kind != "globals" else "local/globals.yml": evil})
    assert f"in one of the files {kind}* in " in found
    assert "python/object/apply:os.system" in found
    assert found.endswith("expected plain YAML: text, numbers, lists and groups")


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"raw_transactions": "${oc.env:HOME}"}, "raw_transactions"),
        ({"events": "a/${oc.env:HOME}"}, "events"),
        ({"stores": ["A", "${now:%Y}"]}, "stores"),
        (
            {"modeling": {"holidays": {"regions": {"${oc.env:HOME}": "x"}}}},
            "modeling.holidays.regions",
        ),
        ({"data_processing": {"encoding": r"\${oc.env:HOME}"}}, "data_processing.encoding"),
    ],
)
def test_references_in_runtime_parameters_are_refused(refused, parameters, name):
    found = refused(**parameters)
    assert found.startswith(f"found parameter {name!r} = ")
    assert "given at run time, with a reference in it; expected a plain value" in found
    assert os.environ["HOME"] not in found


def test_reference_in_an_environment_variable_is_refused(refused, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_TEST", "Sup3r-S3cret")
    monkeypatch.setenv("LIFEMILES_RAW_TRANSACTIONS", "${oc.env:SECRET_OF_THE_TEST}")
    found = refused(env="cluster")
    assert found.startswith(
        "found paths.raw_transactions = '${oc.env:SECRET_OF_THE_TEST}' of globals.yml, taken from"
    )


def test_reference_in_the_address_of_the_store_stays_text(open_project, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_TEST", "Sup3r-S3cret")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///${oc.env:SECRET_OF_THE_TEST}.db")
    context = open_project()
    address = context.config_loader["mlflow"]["server"]["mlflow_tracking_uri"]
    assert address.endswith("/${oc.env:SECRET_OF_THE_TEST}.db")


def test_plain_parameters_are_left_alone():
    check_runtime_parameters({"horizon": 7, "stores": ["A_1", "$x"], "modeling": {"workers": None}})


@pytest.mark.parametrize("env", ["..", ".", "../conf/base", "base/../base", "/tmp"])
def test_environment_is_a_name_and_no_path(refused, env):
    found = refused(env=env)
    assert found.startswith(f"found no environment {env!r} in ")


def test_class_of_request_headers_is_refused(refused):
    text = "server: {request_header_provider: {type: evil.Evil}}\n"
    found = refused({"local/mlflow.yml": text})
    assert found.startswith("found server.request_header_provider.type = 'evil.Evil' in mlflow.yml")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com", "", None])
def test_ui_that_others_reach_is_no_setting(host):
    with pytest.raises(
        ConfigError, match=r"found ui\.host = .* expected 127\.0\.0\.1: the UI has no"
    ):
        check_tracking({"ui": {"host": host}})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_ui_of_this_machine_is_a_setting(host):
    check_tracking({"ui": {"host": host}})
    check_tracking({})


SHARED_SECRETS = {
    "base/credentials.yml": "login: {password: hunter2}\n",
    "production/credentials_server.yml": "login: {password: hunter2}\n",
    "base/credentials/server.yml": "login: {password: hunter2}\n",
    "base/mlflow.yml": "server:\n  mlflow_tracking_uri: https://me:hunter2@mlflow.example\n",
    "quick/extra.json": '{"uri": "postgresql://me:hunter2@host/db"}',
}


@pytest.mark.parametrize("name", SHARED_SECRETS)
def test_credentials_in_shared_files_are_refused_without_being_shown(refused, fresh_project, name):
    (fresh_project.folder / "conf" / name).parent.mkdir(exist_ok=True)
    found = refused({name: SHARED_SECRETS[name]})
    assert name in found
    assert "hunter2" not in found
    assert "expected it in local/ of that folder, which git ignores, or in the environment" in found


def test_private_files_references_and_comments_may_speak_of_credentials(tmp_path):
    for name, text in {
        "local/credentials.yml": "login: {password: hunter2}\n",
        "local/mlflow.yml": "server: {mlflow_tracking_uri: 'https://me:hunter2@host'}\n",
        "base/mlflow.yml": "# https://me:password@host\nuri: https://${oc.env:U}:${oc.env:P}@host\n",
        "base/other.yml": "uri: https://host:5000/path@x\nclock: 10:30\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    check_no_passwords(tmp_path)


def test_command_line_gives_one_line_and_exit_code_1(fresh_project):
    """The same by a real command; the secret that was asked for is not in what it says."""
    result = fresh_project.kedro(
        "run", "--params=raw_transactions=${oc.env:SECRET}", SECRET="Sup3r-S3cret"
    )
    assert result.returncode == 1
    (line,) = [one for one in result.stderr.splitlines() if one.startswith("Error: ")]
    assert line.startswith("Error: found parameter 'raw_transactions' = '${oc.env:SECRET}'")
    assert "Sup3r-S3cret" not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
