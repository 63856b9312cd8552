"""What `kedro run` is asked to run: unknown names, and starts that cannot be, end in one error."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.config import OmegaConfigLoader
from kedro.framework import project
from kedro.framework.project import configure_project
from kedro.io import DataCatalog, MemoryDataset

from lifemiles_forecasting import cli
from lifemiles_forecasting.cli_selection import whole_pipeline
from lifemiles_forecasting.core.errors import ConfigError, InputError
from lifemiles_forecasting.pipeline_starts import (
    check_choice,
    check_entries,
    check_in_memory,
    check_measured,
    check_versions,
)
from lifemiles_forecasting.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[1] / "conf"
DEFAULT = ["__default__"]


@pytest.fixture(autouse=True)
def configured():
    configure_project("lifemiles_forecasting")


@pytest.fixture
def asked(monkeypatch):
    """Options of `kedro run` as they reach Kedro, which runs nothing."""
    asked = {}
    monkeypatch.setattr(cli.kedro_run, "callback", lambda **options: asked.update(options))
    return asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--tags=modelling"],
            "no tag 'modelling'; expected one of modeling, registration, reporting. "
            "Did you mean 'modeling'?",
        ),
        (["--tags=nope"], "no tag 'nope'; "),
        (
            ["--from-inputs=pannel"],
            "no input 'pannel'; expected one of the pipelines that are run. Did you mean 'panel'?",
        ),
        (
            ["--to-outputs=nope"],
            "no output 'nope'; expected one of the pipelines that are run. "
            "`kedro viz run` shows them",
        ),
        (["--pipelines=leak_audit", "--namespaces=nope"], "no namespace 'nope'; expected one of "),
        (
            ["--runner=Foo"],
            "no runner 'Foo'; expected one of SequentialRunner, ThreadRunner, or a class with its "
            "module\n",
        ),
        *(
            (
                [f"--runner={name}"],
                f"runner {name!r}, and tables of the database are handed on in memory, which "
                "processes do not share; expected one of SequentialRunner, ThreadRunner, or a "
                "class with its module. modeling.workers makes processes, for the stores\n",
            )
            for name in ("ParallelRunner", "kedro.runner.ParallelRunner")
        ),
        (["--runner=no.such.Runner"], "no runner 'no.such.Runner'; "),
        (
            ["--tags=reporting", "--nodes=build_study"],
            "no node that --tags and --nodes leave together; expected at least one. ",
        ),
    ],
)
def test_what_is_not_there_is_refused(asked, arguments, message):
    result = CliRunner().invoke(cli.cli, ["run", *arguments])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)  # no traceback
    assert result.stderr.startswith(f"Error: found {message}")
    assert asked == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tags=modeling,reporting"],
        ["--from-inputs=panel,params:horizon", "--to-outputs=report"],
        ["--pipelines=monitoring", "--namespaces=monitoring.data_processing"],
        ["--pipelines=monitoring", "--namespaces=monitoring"],
        ["--runner=ThreadRunner"],
        ["--runner=kedro.runner.SequentialRunner"],
    ],
)
def test_what_is_there_reaches_kedro(asked, arguments):
    result = CliRunner().invoke(cli.cli, ["run", *arguments])
    assert result.exit_code == 0, result.stderr
    assert asked


@pytest.fixture(scope="module")
def catalog():
    loader = OmegaConfigLoader(conf_source=str(CONF), env="base", **CONFIG_LOADER_ARGS)
    return DataCatalog.from_config(loader["catalog"])


def test_version_of_a_dataset_that_has_none_is_refused(tmp_path):
    kept = {"type": "pandas.ParquetDataset", "filepath": str(tmp_path / "panel.parquet")}
    entries = {"panel": kept, "frozen": {**kept, "versioned": True}}
    versions = dict.fromkeys(entries, "2020-01-01T00.00.00.000Z")
    catalog = DataCatalog.from_config(entries, load_versions=versions)
    check_versions(catalog, {"frozen": versions["frozen"]})
    check_versions(catalog, None)
    with pytest.raises(ConfigError) as refused:
        check_versions(catalog, versions)
    assert str(refused.value) == (
        "found --load-versions=panel:2020-01-01T00.00.00.000Z, and that dataset is not versioned; "
        "expected a dataset whose entry in the catalog says `versioned: true`. What earlier runs "
        "made is in MLflow (`kedro explore`); as_of replays earlier data"
    )


@pytest.mark.parametrize(
    ("pipelines", "nodes"),
    [
        (DEFAULT, {"from_nodes": ["registration.judge_model"]}),
        (DEFAULT, {"node_names": ["registration.judge_model"]}),
        (["registration"], {}),  # what hands it on is in another pipeline
    ],
)
def test_a_start_at_what_is_only_in_memory_is_refused_with_where_to_start(
    catalog, pipelines, nodes
):
    project.pipelines.set_requested(pipelines)  # as a session does
    chosen = whole_pipeline(pipelines).filter(**nodes)
    with pytest.raises(InputError) as caught:
        check_in_memory(chosen, catalog, pipelines)
    assert str(caught.value) == (
        "found no backtest_result and no study to start from: nodes hand that on in memory alone; "
        "expected a start at nodes whose inputs are in files. "
        "Start earlier: `kedro run --from-nodes=modeling.plan_training`"
    )
    there = whole_pipeline(DEFAULT).from_nodes("modeling.plan_training")
    check_in_memory(there, catalog, DEFAULT)


def test_a_start_within_some_pipelines_stays_in_them(catalog):
    measured = ["modeling", "reporting"]
    chosen = whole_pipeline(measured).from_nodes("modeling.build_study")
    hint = r"`kedro run --pipelines=modeling,reporting --from-nodes=modeling\.plan_training`"
    with pytest.raises(InputError, match=hint):
        check_in_memory(chosen, catalog, measured)


def test_a_start_that_would_be_refused_is_not_proposed(catalog):
    """Training without measuring is."""
    chosen = whole_pipeline(["modeling"]).filter(node_names=["modeling.forecast_stores"])
    hint = r"`kedro run --from-nodes=modeling\.plan_training`"
    with pytest.raises(InputError, match=hint):
        check_in_memory(chosen, catalog, ["modeling"])


def test_every_pipeline_but_one_starts_from_files(catalog):
    project.pipelines.set_requested(None)
    for name, pipeline in project.pipelines.items():
        if name != "registration":
            check_entries(pipeline.datasets(), catalog)
            check_in_memory(pipeline, catalog, [name])


@pytest.mark.parametrize(
    ("pipelines", "nodes", "missing"),
    [
        (["modeling"], {}, ["aggregate_metrics", "coverage", "store_metrics"]),
        (DEFAULT, {"tags": ["modeling"]}, ["aggregate_metrics", "coverage", "store_metrics"]),
        (
            ["modeling"],
            {"to_nodes": ["tracking.package_run_record"]},
            ["aggregate_metrics", "coverage"],
        ),
    ],
)
def test_training_without_measuring_is_refused(pipelines, nodes, missing):
    """It would track the metrics of the run before as its own, and without one end in a node."""
    with pytest.raises(InputError) as caught:
        check_measured(whole_pipeline(pipelines).filter(**nodes))
    assert str(caught.value) == (
        f"found a training without {' and without '.join(missing)}, which MLflow gets with it; "
        "expected the pipeline reporting in the same run, which measures what was trained. "
        "Run `kedro run --pipelines=modeling,reporting`, or `kedro run`"
    )


@pytest.mark.parametrize(
    ("pipelines", "nodes"),
    [
        (DEFAULT, {}),
        (["modeling", "reporting"], {}),
        (["modeling"], {"to_nodes": ["modeling.forecast_stores"]}),
        (["reporting"], {}),
    ],
)
def test_training_that_is_measured_or_not_tracked_may_run(pipelines, nodes):
    check_measured(whole_pipeline(pipelines).filter(**nodes))


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        (
            "raw_transactions",
            {
                "type": "lifemiles_forecasting.datasets.transactions.TransactionFilesDataset",
                "filepath": "exports",
                "memory_limt": "2GB",
            },
            "TransactionFilesDataset.__init__() got an unexpected keyword argument 'memory_limt'",
        ),
        (
            "panel",
            {"type": "pandas.ParquetDataset"},
            "ParquetDataset.__init__() missing 1 required keyword-only argument: 'filepath'",
        ),
        (
            "panel",
            {"type": "pandas.ParquetDataset", "filepath": "nosuch://panel.parquet"},
            "Protocol not known: nosuch",
        ),
    ],
)
def test_entry_of_which_no_dataset_can_be_made_is_refused(name, entry, words):
    catalog = DataCatalog.from_config({name: entry})
    with pytest.raises(ConfigError) as caught:
        check_entries(whole_pipeline(["data_processing"]).datasets(), catalog)
    assert str(caught.value) == (
        f"found catalog entry {name!r} of which no dataset can be made ({words}); expected the "
        "arguments that its type takes. The files conf/base/catalog*.yml show them"
    )


@pytest.mark.parametrize(
    ("pipelines", "name", "value", "instead"),
    [
        (DEFAULT, "stores", ["A_1"], "max_stores=N trains the N largest stores alone"),
        (["monitoring"], "stores", ["A_1"], "max_stores=N trains the N largest stores alone"),
        (DEFAULT, "model_version", 7, "Training makes a model of its own"),
        (DEFAULT, "model_alias", "challenger", "Training makes a model of its own"),
    ],
)
def test_choice_that_no_node_takes_notice_of_is_refused(pipelines, name, value, instead):
    with pytest.raises(ConfigError) as caught:
        check_choice(whole_pipeline(pipelines), {name: value})
    assert str(caught.value) == (
        f"found parameter {name!r} = {value!r}, given at run time, of which no node that is going "
        "to run takes notice; expected it with a pipeline that does, as --pipelines=forecasting. "
        f"{instead}"
    )


def test_choice_that_a_node_takes_notice_of_may_be_made():
    choices = {"stores": ["A_1"], "model_version": 7, "model_alias": "challenger"}
    check_choice(whole_pipeline(["forecasting"]), choices)
    check_choice(whole_pipeline(["monitoring"]), {**choices, "stores": None})
    check_choice(whole_pipeline(DEFAULT), {"horizon": 7, "leak_audit": {"stores": 8}})


def test_what_a_session_was_handed_in_memory_is_there():
    """A notebook may put a study into the catalog itself."""
    catalog = DataCatalog({"study": MemoryDataset(1), "backtest_result": MemoryDataset(2)})
    register = whole_pipeline(DEFAULT).filter(node_names=["registration.judge_model"])
    files = register.inputs() - {"study", "backtest_result"}
    for name in files:
        catalog[name] = MemoryDataset(3)
    check_in_memory(register, catalog, DEFAULT)
