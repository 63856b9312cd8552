"""Files of conf/ and a store that cannot be used: one error says where, and nothing is tracked."""

import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner

from lifemiles_forecasting.cli import cli
from lifemiles_forecasting.core.errors import ConfigError, TrackingError


@pytest.fixture
def refused(open_project, fresh_project):
    """The message with which a configuration is refused."""
    (fresh_project.folder / "mlflow.db").unlink()  # and would be made by whoever asks for it

    def message(*arguments, **parameters):
        with pytest.raises(ConfigError) as caught:
            open_project(*arguments, **parameters)
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


def test_paths_in_a_parameters_file_are_refused(refused):
    assert refused({"local/parameters.yml": "paths: {raw_transactions: exports}\n"}) == (
        "found 'paths' in a parameters file, where nothing reads it; expected it in globals.yml of "
        "the environment, such as conf/local/globals.yml. Move it there, or give "
        "--params=raw_transactions=..."
    )


def test_place_in_globals_or_at_run_time_reaches_the_catalog(open_project, fresh_project):
    """Run-time parameters go before both files, and an empty one leaves the plan of events out."""
    files = {
        "local/globals.yml": "paths: {raw_transactions: exports, events: plan.csv}\n",
        "local/parameters.yml": "raw_transactions: exports\ndata_root: never_used\n",
    }
    loader = open_project(files, data_root="outputs", events=None).config_loader
    assert loader["parameters"]["raw_transactions"] == "exports"
    catalog = loader["catalog"]
    assert catalog["raw_transactions"]["filepath"] == "exports"
    assert catalog["events"]["filepath"] is None
    assert catalog["store_metrics"]["filepath"] == "outputs/08_reporting/store_metrics.csv"


PLAIN = "expected plain YAML: text, numbers, lists and groups"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        (
            "parameters.yml",
            "modeling:\n\tworkers: 1\n",
            "character '\\t' that cannot start any token in line 2 of {folder}/parameters.yml",
        ),
        (
            "parameters.yml",
            "stores: [a, b\nseed: 7\n",
            "expected ',' or ']', but got ':' in line 2 of {folder}/parameters.yml",
        ),
        (
            "globals.yml",
            "paths: [data\n",
            "expected ',' or ']', but got '<stream end>' in line 2 of",
        ),
        ("parameters.yml", "seed: 8\nseed: 9\n", "duplicate key seed in one of the files param"),
        ("parameters.yml", "seed: \0\n", "unacceptable character #x0000: special characters "),
        ("catalog.yml", "a: *S3CRET\n", "text that begins with * or & and is not quoted in one of"),
        (
            "mlflow.yml",
            "server: [a]\n",
            "a list in the place of a group in one of the files mlflow",
        ),
        (
            "parameters.yml",
            b"target: Facturaci\xf3n\n",
            "bytes that are no UTF-8 (invalid continuation byte) in one of the files parameters* ",
        ),
    ],
)
def test_file_that_is_no_plain_yaml(refused, fresh_project, name, text, found):
    folder = fresh_project.folder / "conf" / "local"
    if isinstance(text, bytes):
        (folder / name).write_bytes(text)
    message = refused({} if isinstance(text, bytes) else {f"local/{name}": text})
    assert message.startswith(f"found {found.format(folder=folder)}")
    assert message.endswith(PLAIN)
    assert "S3CRET" not in message


def test_key_in_two_files_of_an_environment(refused):
    message = refused({"local/parameters.yml": "seed: 8\n", "local/parameters_x.yml": "seed: 9\n"})
    assert message.startswith("found the same key in ")
    assert "local/parameters_x.yml" in message
    assert message.endswith(
        ": seed; expected each key in one file of an environment. Take it out of one of them"
    )


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("globals.yml", "paths: null\n", "paths = None in globals.yml; expected a group"),
        ("globals.yml", "paths: {data_root: 7}\n", "paths.data_root = 7 in globals.yml; expected"),
        (
            "mlflow.yml",
            "tracking: {experiment: LM}\n",
            "tracking.experiment = 'LM' in mlflow.yml; expected a group, with a name and a value "
            "in each line under it. The files in conf/base show it",
        ),
        *(
            (
                "mlflow.yml",
                f"server: {{mlflow_{store}_uri: {value}}}\n",
                f"server.mlflow_{store}_uri = {value} in mlflow.yml; expected the address of a "
                "server or a database, such as sqlite:///mlflow.db, or null",
            )
            for store, value in (("tracking", "5"), ("tracking", "['a']"), ("registry", "5"))
        ),
        ("mlflow.yml", "ui: 5001\n", "ui = 5001 in mlflow.yml; expected a group"),
        ("catalog.yml", "notes: 5\n", "notes = 5 in the catalog; expected a group"),
        (
            "mlflow.yml",
            "tracking: {experiment: {name: ' '}}\n",
            "tracking.experiment.name = ' ' in mlflow.yml; expected the name of an experiment",
        ),
    ],
)
def test_value_in_the_place_of_a_group(refused, name, text, found):
    assert refused({f"local/{name}": text}).startswith(f"found {found}")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "paths: {raw_transaction: exports}\n",
            "'raw_transaction' in `paths` of globals.yml; expected 'raw_transactions', or a name "
            "that is not so near to it",
        ),
        (
            "path: {raw_transactions: exports}\n",
            "'path' in globals.yml; expected 'paths', or a name that is not so near to it",
        ),
    ],
)
def test_misspelled_name_in_globals_is_refused(refused, text, found):
    """A misspelled folder of transactions would forecast the sample."""
    assert refused({"local/globals.yml": text}) == f"found {found}"


def test_globals_may_hold_names_of_the_user_s_own(open_project):
    own = "bucket: s3\npaths: {features: own/features}\n"
    loader = open_project({"local/globals.yml": own}).config_loader
    assert loader["globals"]["bucket"] == "s3"
    assert loader["globals"]["paths"]["features"] == "own/features"


def test_entry_with_an_unknown_argument_is_refused_before_kedro_mlflow_makes_it(open_project):
    entry = "{type: pandas.ParquetDataset, filepath: a.parquet, save_arg: {}}"
    context = open_project({"local/catalog.yml": f"panel: {entry}\n"})
    with pytest.raises(ConfigError, match=r"^found catalog entry 'panel' of which no dataset can "):
        _ = context.catalog


FILES = ("parameters.yml", "globals.yml", "catalog.yml", "mlflow.yml")


@pytest.mark.parametrize(
    ("text", "shown", "read", "line"),
    [
        ("seed: 8\nhorizon: 014\n", "014", 12, 2),
        ("reporting: {coverage_band: [0x4B, 85]}\n", "0x4B", 75, 1),
        ("horizon: 1:30\n", "1:30", 90, 1),
    ],
)
def test_number_that_is_another_one_to_yaml(refused, fresh_project, text, shown, read, line):
    assert refused({"local/parameters.yml": text}) == (
        f"found {shown} in line {line} of {fresh_project.folder}/conf/local/parameters.yml, which "
        f"is {read} to YAML; expected a number without a 0 in front, or text in quotes"
    )


PATTERNS = "catalog*, parameters*, credentials*, globals.yml, mlflow*"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("parameter.yml", "parameters*"),
        ("Catalog_extra.yaml", "catalog*"),
        ("globals_mine.yml", "globals.yml"),
        ("notes.yml", ""),
    ],
)
def test_file_that_nothing_reads_is_warned_of(open_project, fresh_project, caplog, name, near):
    open_project({f"local/{name}": "seed: 8\n"})
    hint = f". Did you mean {near}?" if near else ""
    assert [record.getMessage() for record in caplog.records if "not read" in record.msg] == [
        f"found {fresh_project.folder}/conf/local/{name}, which is not read; expected a name such "
        f"as {PATTERNS}{hint}"
    ]


def test_files_that_are_read_or_hidden_are_not_warned_of(open_project, fresh_project, caplog):
    for folder in ("parameters_of_mine", "stores"):
        (fresh_project.folder / "conf" / "local" / folder).mkdir()
    files = ("parameters_of_mine/one.yml", "stores/parameters_a.yml", ".old.yml", "mlflow.yml")
    open_project({f"local/{name}": "{}\n" for name in files})
    assert "not read" not in caplog.text


@pytest.mark.parametrize("env", ["quick", "production"])
def test_local_files_are_warned_of_where_another_environment_runs(
    open_project, fresh_project, caplog, env
):
    """Formats and a target of conf/local would be left out of the nightly job without a word."""
    local = fresh_project.folder / "conf" / "local"
    (local / "credentials.yml").write_text("{}\n")
    context = open_project({"local/parameters.yml": "target: local_amount\n"}, env=env)
    assert context.params["target"] == "billings"
    open_project({"local/globals.yml": "{}\n", "local/mlflow_mine.yml": "{}\n"}, env=env)
    expected = f"not read with --env={env}; expected what is meant for it in {local.parent / env}"
    assert [record.getMessage() for record in caplog.records if "not read" in record.msg] == [
        f"found {local}/parameters.yml, which is {expected}",
        f"found {local}/globals.yml, {local}/mlflow_mine.yml, {local}/parameters.yml, which are "
        f"{expected}",
    ]


@pytest.mark.parametrize("env", [None, "local", "production"])
def test_local_files_are_not_warned_of_where_they_are_read_or_not_meant(open_project, caplog, env):
    files = {"local/credentials.yml": "{}\n"}
    if env != "production":
        files["local/parameters.yml"] = "seed: 8\n"
    open_project(files, env=env)
    assert "not read" not in caplog.text


MEMORY = "{type: MemoryDataset}"


def test_entry_that_no_pipeline_uses_is_warned_of(open_project, caplog):
    """It is a misspelled one, or of a notebook."""
    added = ("raw_transaction", "_shared", "'{place}.mine'", "panel", "notebook_of_mine")
    text = "".join(f"{name}: {MEMORY}\n" for name in added)
    context = open_project({"local/catalog_mine.yml": text})
    _ = context.catalog
    assert [record.getMessage() for record in caplog.records if "no pipeline" in record.msg] == [
        "found catalog entry 'notebook_of_mine', which no pipeline uses; expected the name of a "
        "dataset of theirs",
        "found catalog entry 'raw_transaction', which no pipeline uses; expected the name of a "
        "dataset of theirs. Did you mean 'raw_transactions'?",
    ]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("environment", ["base", "local"])
def test_list_in_the_place_of_a_file_s_groups(refused, fresh_project, name, environment):
    file = f"{environment}/{name}"
    assert refused({file: "- a\n- b\n"}) == (
        f"found a list in the place of groups in {fresh_project.folder}/conf/{file}; expected a "
        "name and a value in each line, as in `name: value`"
    )


@pytest.mark.parametrize("name", FILES[1:])
def test_number_in_the_place_of_a_name(refused, fresh_project, name):
    assert refused({f"local/{name}": "5: {}\n"}) == (
        f"found 5 as a name in {fresh_project.folder}/conf/local/{name}; expected text: '5' in "
        "quotes"
    )


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("'${S3CRET'", "${ without a reference behind it"),
        ("${nothing}", "Interpolation key 'nothing' not found"),
        ("${nosuch:1}", "Unsupported interpolation type nosuch"),
    ],
)
def test_reference_that_leads_nowhere(refused, name, value, why):
    kind = name.removesuffix(".yml")
    where = name if kind == "mlflow" else f"{kind}*"
    message = refused({f"local/{name}": f"odd: {value}\n"})
    assert message.startswith(f"found odd of {where} that cannot be filled in ({why}); expected a ")
    assert "S3CRET" not in message


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({}, "Other environments take values from variables: ${oc.env:NAME}"),
        ({"local/credentials.yml": "shop: {url: S3CRET}\n"}, "Did you mean 'shop'?"),
    ],
)
def test_credentials_that_are_not_there(refused, files, hint):
    entry = "mine: {type: pandas.ParquetDataset, filepath: x.parquet, credentials: shops}\n"
    assert refused({"local/catalog.yml": entry, **files}) == (
        "found catalog entry 'mine' with credentials 'shops', which are not there; expected them "
        f"in conf/local/credentials.yml, which is read without --env. {hint}"
    )


@pytest.mark.parametrize("name", FILES)
def test_environment_variable_that_is_not_set(refused, monkeypatch, name):
    monkeypatch.delenv("ODD_NAME", raising=False)
    message = refused({f"local/{name}": "odd: ${oc.env:ODD_NAME}\n"})
    assert message.startswith("found no environment variable ODD_NAME; expected it to be set, ")
    assert message.endswith("is taken from it. Set it, or choose another --env")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "tracking: {experiments: {name: LM}}\n",
            "found an unknown setting of mlflow.yml 'tracking.experiments'; expected one of "
            "disable_tracking, experiment, params, run. Did you mean 'experiment'?",
        ),
        (
            "tracking: {disable_tracking: {pipelines: 5}}\n",
            "found setting of mlflow.yml 'tracking.disable_tracking.pipelines' = 5; expected input "
            "should be a valid list",
        ),
    ],
)
def test_setting_that_kedro_mlflow_does_not_know(refused, text, expected):
    assert refused({"local/mlflow.yml": text}) == expected


@pytest.fixture
def older_store(fresh_project):
    """A tracking store of another version of MLflow; gives its address."""
    with closing(sqlite3.connect(fresh_project.folder / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '0a8213491aaa'")
        database.commit()
    return fresh_project.tracking_uri


def test_tables_of_another_version_of_mlflow_end_with_what_to_do(open_project, older_store):
    expected = (
        f"found tables of another version of MLflow in the tracking store at {older_store}; "
        "expected those of the installed version, as after an update of MLflow. Back it up with "
        f"`kedro tracking backup DEST`, then run `mlflow db upgrade {older_store}`"
    )
    with pytest.raises(TrackingError) as caught:
        open_project({})
    assert str(caught.value) == expected
    for command in (["explore"], ["models", "show"]):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)  # no traceback
        assert f"Error: {expected}" in result.stderr
