"""The configuration, tested like code: nothing in it is dead, and nothing it needs is missing."""

import ast
import re
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader
from kedro.framework.project import configure_project
from kedro.io import DataCatalog
from pydantic import BaseModel

from lifemiles_forecasting.core.config import Parameters, parse
from lifemiles_forecasting.pipeline_registry import ON_REQUEST, register_pipelines
from lifemiles_forecasting.settings import CONFIG_LOADER_ARGS
from lifemiles_forecasting.tracking_config import tracking_config

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lifemiles_forecasting"
ENVIRONMENTS = ["base", "local", "quick", "production", "cluster", "postgres", "spark"]
PIPELINES = [
    "__default__",
    "data_processing",
    "forecasting",
    "leak_audit",
    "modeling",
    "monitoring",
    "registration",
    "reporting",
]
# imported by kedro for us: the commands, the catalog and what shows it
PLUGINS = {"kedro_mlflow", "kedro_viz", "kedro_datasets", "pyarrow"}
# their keys are names of the user's own
FREE_KEYS = {
    "columns",
    "sizes",
    "alphas",
    "tiers",
    "countries",
    "regions",
    "city_regions",
    "store_regions",
}


@pytest.fixture(scope="module", autouse=True)
def configured():
    configure_project("lifemiles_forecasting")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")


def loader(env):
    return OmegaConfigLoader(conf_source=str(ROOT / "conf"), env=env, **CONFIG_LOADER_ARGS)


@cache
def pipelines():
    return register_pipelines()


@cache
def syntax_trees():
    return [ast.parse(file.read_text(encoding="utf-8")) for file in SOURCE.rglob("*.py")]


def datasets_of(name):
    return {
        dataset
        for dataset in pipelines()[name].datasets()
        if dataset != "parameters" and not dataset.startswith("params:")
    }


def test_environments_are_the_folders_of_conf():
    folders = {folder.name for folder in (ROOT / "conf").iterdir() if folder.is_dir()}
    assert folders == set(ENVIRONMENTS)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_environment_resolves(env, server):
    config = loader(env)
    parse(Parameters, config["parameters"])
    DataCatalog.from_config(config["catalog"])
    tracking = tracking_config(config, ROOT)
    assert tracking["server"]["mlflow_tracking_uri"] == "https://mlflow.example"
    assert tracking["tracking"]["experiment"]["name"] == "LifeMiles_Forecasting_Training"


@pytest.mark.parametrize("env", ["quick", "production", "cluster", "postgres", "spark"])
def test_environment_is_a_difference_to_base(env, server, monkeypatch):
    monkeypatch.setenv("LIFEMILES_EXPERIMENT", "Nightly")
    monkeypatch.setenv("LIFEMILES_DATA_ROOT", "/shared")
    base, other = loader("base"), loader(env)
    kinds = ("parameters", "mlflow", "globals", "catalog")
    changed = [kind for kind in kinds if base[kind] != other[kind]]
    assert changed


def test_production_takes_its_addresses_and_its_experiment_from_the_environment(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://registry.example")
    monkeypatch.setenv("LIFEMILES_EXPERIMENT", "Nightly")
    config = tracking_config(loader("production"), ROOT)
    assert config["server"]["mlflow_tracking_uri"] == "http://mlflow.example"
    assert config["server"]["mlflow_registry_uri"] == "http://registry.example"
    assert config["tracking"]["experiment"]["name"] == "Nightly"
    monkeypatch.setenv("LIFEMILES_EXPERIMENT", "")  # as good as not set, like an empty address
    config = tracking_config(loader("production"), ROOT)
    assert config["tracking"]["experiment"]["name"] == "LifeMiles_Forecasting_Training"


def test_cluster_takes_folders_and_workers_from_the_scheduler(monkeypatch):
    monkeypatch.setenv("LIFEMILES_DATA_ROOT", "/shared/out")
    monkeypatch.setenv("LIFEMILES_RAW_TRANSACTIONS", "/shared/in")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "12")
    monkeypatch.setenv("LIFEMILES_SCHEDULER", "tls://head:8786")
    config = loader("cluster")
    parameters = parse(Parameters, config["parameters"])
    assert (parameters.data_root, parameters.raw_transactions) == ("/shared/out", "/shared/in")
    assert parameters.modeling.workers == 12
    assert parameters.modeling.scheduler == "tls://head:8786"
    assert config["catalog"]["panel"]["filepath"] == "/shared/out/03_primary/panel.parquet"
    assert config["catalog"]["raw_transactions"]["filepath"] == "/shared/in"


@pytest.mark.parametrize("name", PIPELINES)
def test_pipeline_builds(name):
    assert pipelines()[name].nodes


def test_pipelines_are_the_ones_that_are_known():
    assert set(pipelines()) == set(PIPELINES)


def test_whole_run_is_all_pipelines_but_those_on_request():
    parts = {name: set(pipelines()[name].nodes) for name in PIPELINES}
    whole = parts.pop("__default__")
    others = set().union(*(parts.pop(name) for name in ON_REQUEST))
    assert whole == set().union(*parts.values())
    assert not whole & others


@pytest.mark.parametrize("name", ["forecasting", "monitoring"])
def test_other_jobs_write_nothing_that_training_has_written(name):
    job = pipelines()[name]
    written = job.outputs() | datasets_of(name) - job.inputs()
    assert not written & (datasets_of("__default__") - pipelines()["__default__"].inputs())


def test_audit_starts_from_what_a_run_leaves():
    needed = {name for name in pipelines()["leak_audit"].inputs() if not name.startswith("param")}
    assert needed == {"panel", "stores", "planned_events"}
    assert needed <= pipelines()["__default__"].outputs() | datasets_of("__default__")


@pytest.mark.parametrize("job", ["forecasting", "monitoring"])
def test_each_job_names_its_own_quarantine(job):
    (node,) = [node for node in pipelines()[job].nodes if node.name.endswith("trust_rows")]
    folder = node.func.keywords["job"]
    assert set(node.outputs) == {f"{folder}.store_days"}
    entry = loader("base")["catalog"]["{job}.quarantine"]
    assert entry["filepath"].endswith("/02_intermediate/{job}/quarantine.parquet")


def test_whole_run_needs_nothing_but_raw_files():
    free = {name for name in pipelines()["__default__"].inputs() if not name.startswith("param")}
    # and what there may be of earlier runs, which is read if it is there
    earlier = {"incumbent", "registered_fleets", "last_drift", "fits"}
    assert free == {"raw_transactions", "events", "run_info"} | earlier


def entry_of(dataset, entries):
    """The entry of a dataset: its own, or that of every job's dataset of the name."""
    _job, dot, name = dataset.partition(".")
    own = dataset in entries or not dot
    return dataset if own else "{job}." + name


def test_every_catalog_entry_is_used_by_a_pipeline():
    entries = {name for name in loader("base")["catalog"] if not name.startswith("_")}
    used = {entry_of(name, entries) for job in PIPELINES for name in datasets_of(job)}
    assert entries - used == set()


def test_every_dataset_between_pipelines_is_in_the_catalog():
    entries = set(loader("base")["catalog"])
    for name in PIPELINES[1:]:
        outside = pipelines()[name].inputs() | pipelines()[name].outputs()
        needed = {entry_of(dataset, entries) for dataset in outside & datasets_of(name)}
        assert needed - entries == set(), name
    within = {name for job in PIPELINES for name in datasets_of(job)}
    assert {name for name in within if entry_of(name, entries) not in entries} == set()


def test_every_catalog_entry_has_a_layer():
    for name, entry in loader("base")["catalog"].items():
        assert entry["metadata"]["kedro-viz"]["layer"], name


def test_every_output_moves_with_data_root():
    config = OmegaConfigLoader(
        conf_source=str(ROOT / "conf"),
        env="base",
        runtime_params={"data_root": "/moved", "raw_transactions": "/input", "events": "/e.csv"},
        **CONFIG_LOADER_ARGS,
    )
    paths = {}
    for name, entry in config["catalog"].items():
        inner = entry.get("dataset", entry)
        paths |= {name: inner["filepath"]} if "filepath" in inner else {}
    assert paths.pop("raw_transactions") == "/input"
    assert paths.pop("events") == "/e.csv"
    assert len(paths) > 15
    assert all(path.startswith("/moved/0") for path in paths.values())


def test_no_two_entries_write_the_same_file():
    files = [
        entry.get("dataset", entry).get("filepath") for entry in loader("base")["catalog"].values()
    ]
    files = [file for file in files if file]
    files.remove(loader("base")["catalog"]["last_drift"]["filepath"])  # it is only read
    assert len(files) == len(set(files))


def leaves(values, prefix=()):
    for key, value in values.items():
        if isinstance(value, dict) and key not in FREE_KEYS:
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key)


def fields(model, prefix=()):
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, (*prefix, name))
        else:
            yield (*prefix, name)


def test_every_parameter_of_base_is_a_field_and_every_field_is_in_base():
    assert set(leaves(loader("base")["parameters"])) == set(fields(Parameters))


def test_every_parameter_is_read_in_the_source():
    attributes = {
        node.attr
        for tree in syntax_trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    }
    inputs = {
        name.removeprefix("params:") for name in PIPELINES for name in pipelines()[name].inputs()
    }
    for path in fields(Parameters):
        read = path[-1] in attributes if len(path) > 1 else path[0] in inputs
        assert read, ".".join(path)


def test_every_dependency_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[<>=~! ;]", entry)[0].lower() for entry in project["dependencies"]}
    modules = {
        name.split(".")[0]
        for tree in syntax_trees()
        for node in ast.walk(tree)
        for name in imported(node)
    }
    distributions = packages_distributions()
    found = {
        distribution.lower().replace("_", "-")
        for module in modules | PLUGINS
        for distribution in distributions.get(module, [])
    }
    assert wanted - found == set()


def imported(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [node.module]
    return []


def test_lock_has_a_hash_for_every_pin_and_names_no_host():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "index" not in text
    pins = re.split(r"\n(?=\S)", text.strip())
    pins = [pin for pin in pins if not pin.startswith("#")]
    assert len(pins) > 100
    for pin in pins:
        assert re.match(r"[a-z0-9][a-z0-9._-]*(\[[\w,-]+\])?==", pin), pin[:60]
        assert "--hash=sha256:" in pin, pin[:60]


def test_lock_of_spark_is_of_what_the_extra_says_and_names_no_host():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert (
        project["project"]["optional-dependencies"]["spark"]
        == project["dependency-groups"]["spark"]
    )
    text = (ROOT / "tests" / "requirements-spark.lock").read_text()
    assert "://" not in text
    pins = re.findall(r"(?m)^([a-z0-9]+)==\S+ \\\n    --hash=sha256:", text)
    assert pins == ["py4j", "pyspark"]


def test_lock_holds_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    entries = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    wanted = {re.split(r"[\[<>=~! ;]", entry)[0].lower() for entry in entries}
    locked = re.findall(r"(?m)^([a-z0-9][a-z0-9._-]*)==", (ROOT / "requirements.lock").read_text())
    assert wanted - set(locked) == set()
