"""What a configuration may say: nothing in it may run code, lead astray or hold a password.

Kedro's catalog can name any class of any installed package, `mlflow.yml` another one, and a
reference such as `${oc.env:NAME}` reads the environment. Our own files use little of that, so the
rest is refused before anything is built from it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.hosts import LOOPBACK, is_loopback

# Every class that the catalog may build an entry from. To use another, add it here.
_OURS = "lifemiles_forecasting.datasets"
DATASET_TYPES = frozenset(
    {
        "MemoryDataset",
        "json.JSONDataset",
        "kedro_mlflow.io.artifacts.MlflowArtifactDataset",
        "pandas.ParquetDataset",
        "plotly.JSONDataset",
        "text.TextDataset",
        f"{_OURS}.csv_table.CsvTableDataset",
        f"{_OURS}.events.EventFileDataset",
        f"{_OURS}.figures.FiguresDataset",
        f"{_OURS}.fit_store.FitStoreDataset",
        f"{_OURS}.optional_record.OptionalRecordDataset",
        f"{_OURS}.optional_table.OptionalTableDataset",
        f"{_OURS}.past_forecasts.PastForecastsDataset",
        f"{_OURS}.registered_fleet.IncumbentDataset",
        f"{_OURS}.registered_fleet.RegisteredFleetsDataset",
        f"{_OURS}.registered_fleet.RegistrationDataset",
        f"{_OURS}.run_info.RunInfoDataset",
        f"{_OURS}.run_record.RunRecordDataset",
        f"{_OURS}.spark_engine.SparkFilesDataset",
        f"{_OURS}.store_runs.StoreRunsDataset",
        f"{_OURS}.transaction_table.TransactionTableDataset",
        f"{_OURS}.transactions.TransactionFilesDataset",
    }
)
PRIVATE = "local"  # the folder of conf/ that git ignores
PLACES = ("data_root", "raw_transactions", "events")  # `paths` of globals.yml, or --params
GLOBALS = ("paths",)  # of globals.yml
NEAR = 0.8  # similarity of names of which one is probably meant to be the other
_TRACKING_GROUPS = (
    "server",
    "tracking",
    "tracking.experiment",
    "tracking.experiment.create_experiment_kwargs",
    "ui",
)  # each behind the one that it is in
_REFERENCE = re.compile(r"\$\{[^{}]*\}")
_PASSWORD = re.compile(r"://[^\s/@'\"]*:[^\s/@'\"]+@")  # in an address

# what YAML reads in base 8, 16, 2 or 60: 014 is 12, and 1:30 is 90
_OTHER_BASE = re.compile(r"[-+]?(?:0[0-7_]+|0x[\da-f_]+|0b[01_]+|\d[\d_]*(?::[0-5]?\d)+)", re.I)


def numbers_of_another_base(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """What stands in a YAML text as a number, and is another one than it seems.

    Args:
        node: of `yaml.compose`.
    """
    if isinstance(node, yaml.ScalarNode):
        if node.tag.endswith(":int") and _OTHER_BASE.fullmatch(node.value):
            yield node
    elif isinstance(node, yaml.SequenceNode):
        for inner in node.value:
            yield from numbers_of_another_base(inner)
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for inner in pair:
                yield from numbers_of_another_base(inner)


def check_runtime_parameters(parameters: Mapping[str, Any]) -> None:
    """Make sure that no value of `--params` is going to be filled in with something else.

    OmegaConf would replace `${oc.env:NAME}` by what the environment holds, which ends up in the
    log, in MLflow and in the report.

    Args:
        parameters: as given, nested or not.

    Raises:
        ConfigError: one holds a reference.
    """
    for name, value in _references(parameters):
        raise ConfigError(
            f"parameter {name!r} = {value!r}, given at run time, with a reference in it",
            "a plain value",
            "References such as ${oc.env:NAME} belong in the files of conf/",
        )


def check_globals(values: Mapping[str, Any]) -> None:
    """Make sure that nothing which was filled in asks to be filled in once more.

    A value that the environment gives to `globals.yml` is looked into again where it is used.

    Args:
        values: content of `globals.yml`, references filled in.

    Raises:
        ConfigError: one holds a reference, is a misspelled name, or `paths` holds no folder of
            outputs.
    """
    _check_names(values, GLOBALS, "globals.yml")
    if "paths" in values:
        _check_group("paths", values["paths"], "globals.yml")
        _check_names(values["paths"], PLACES, "`paths` of globals.yml")
        root = values["paths"].get("data_root", "")
        if not isinstance(root, str):
            raise ConfigError(f"paths.data_root = {root!r} in globals.yml", "a folder")
    for name, value in _references(values):
        raise ConfigError(
            f"{name} = {value!r} of globals.yml, taken from the environment, with a reference",
            "a plain value in the environment variable",
        )


def _check_names(group: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Make sure that no name is a misspelled one of ours, which would change nothing.

    Others are the user's own, for what else the configuration refers to.

    Raises:
        ConfigError: one is.
    """
    for name in group:
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=NEAR)
        if name not in known and near:
            raise ConfigError(
                f"{name!r} in {where}",
                f"{near[0]!r}, or a name that is not so near to it",
            )


def _check_group(name: str, value: Any, file: str) -> None:
    """Make sure that there is a group where one must be.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{name} = {value!r} in {file}",
            "a group, with a name and a value in each line under it",
            "The files in conf/base show it",
        )


def check_parameters(values: Mapping[str, Any]) -> None:
    """Make sure that no group of `globals.yml` is among the parameters, where nothing reads it.

    Args:
        values: content of the parameters files, with the run-time ones.

    Raises:
        ConfigError: one is.
    """
    for name in GLOBALS:
        if name in values:
            raise ConfigError(
                f"{name!r} in a parameters file, where nothing reads it",
                "it in globals.yml of the environment, such as conf/local/globals.yml",
                f"Move it there, or give --params={PLACES[1]}=...",
            )


def check_places(
    parameters: Mapping[str, Any], given: Mapping[str, Any], shared: Mapping[str, Any]
) -> None:
    """Make sure that the parameters name the folders and files that the catalog reads and writes.

    Kedro's catalog cannot refer to a parameters file, only to run-time parameters and globals.

    Args:
        parameters: those of the run, defaults included.
        given: the run-time ones among them.
        shared: content of `globals.yml`.

    Raises:
        ConfigError: a parameters file names another one.
    """
    taken = {**(shared.get("paths") or {}), **given}
    for name in PLACES:
        if parameters[name] != taken.get(name):
            raise ConfigError(
                f"{name} = {parameters[name]!r} in a parameters file, "
                f"where the catalog does not look: it takes {taken.get(name)!r}",
                f"no {name} of its own in any conf/*/parameters*.yml",
                "Put it into `paths` of globals.yml of the environment, "
                f"or give --params={name}=...",
            )


def _references(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Texts that ask to be filled in, with where they are."""
    return ((name, value) for name, value in _texts(values) if "${" in value)


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a configuration, with where it is."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(str(key), path)  # a key of a group may be a code
            yield from _texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, path)


def check_catalog(catalog: Mapping[str, Any]) -> None:
    """Make sure that every entry is of a type that we use.

    Args:
        catalog: entries by name, references filled in.

    Raises:
        ConfigError: one is not; the message names entry and type.
    """
    for name, entry in catalog.items():
        _check_group(name, entry, "the catalog")
        for kind in _types(entry):
            if kind not in DATASET_TYPES:
                raise ConfigError(
                    f"catalog entry {name!r} of type {kind!r}",
                    f"one of {', '.join(sorted(DATASET_TYPES))}",
                    "A type is a class that is imported and called, so new ones are allowed in "
                    "DATASET_TYPES of config_checks.py and nowhere else",
                )


def _types(entry: Any) -> Iterator[Any]:
    """The type of an entry, and of the entries that it wraps."""
    if not isinstance(entry, Mapping):
        return
    yield entry.get("type")
    wrapped = entry.get("dataset")
    if isinstance(wrapped, str):  # short for a type without options
        yield wrapped
    elif wrapped is not None:
        yield from _types(wrapped)


def check_tracking(config: Mapping[str, Any]) -> None:
    """Make sure that `mlflow.yml` is whole, brings no class and keeps the UI on this machine.

    Args:
        config: content of `mlflow.yml`.

    Raises:
        ConfigError: it does not.
    """
    for name in _TRACKING_GROUPS:
        group: Any = config
        for part in name.split("."):
            group = group.get(part) or {}
        _check_group(name, group, "mlflow.yml")
    for name in ("mlflow_tracking_uri", "mlflow_registry_uri"):
        address = (config.get("server") or {}).get(name)
        if not isinstance(address, str | None):
            raise ConfigError(
                f"server.{name} = {address!r} in mlflow.yml",
                "the address of a server or a database, such as sqlite:///mlflow.db, or null",
            )
    experiment = ((config.get("tracking") or {}).get("experiment") or {}).get("name", "unnamed")
    if not isinstance(experiment, str) or not experiment.strip():
        raise ConfigError(
            f"tracking.experiment.name = {experiment!r} in mlflow.yml", "the name of an experiment"
        )
    provider = ((config.get("server") or {}).get("request_header_provider") or {}).get("type")
    if provider is not None:
        raise ConfigError(
            f"server.request_header_provider.type = {provider!r} in mlflow.yml",
            "none: it is a class that is imported and called",
            "A token for the server goes into MLFLOW_TRACKING_TOKEN",
        )
    host = (config.get("ui") or {}).get("host", LOOPBACK)
    if not is_loopback(str(host)):
        raise ConfigError(
            f"ui.host = {host!r} in mlflow.yml, where other machines get in",
            f"{LOOPBACK}: the UI has no password, and deletes runs",
            "To let them in once, say so: kedro explore --serve --host=HOST",
        )


def check_no_passwords(source: Path) -> None:
    """Make sure that credentials are in none of the files that are shared with the code.

    Args:
        source: the folder `conf`; an archive or an address is not looked into.

    Raises:
        ConfigError: a file of credentials, or an address with a password, outside of `local`.
    """
    where = f"it in {PRIVATE}/ of that folder, which git ignores, or in the environment"
    for file in _shared_files(source):
        if file.name.startswith("credentials") or "credentials" in file.parent.parts[-1:]:
            raise ConfigError(f"credentials in {file}", where)
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
            if not line.lstrip().startswith("#") and _PASSWORD.search(_REFERENCE.sub("", line)):
                raise ConfigError(f"an address with a password in line {number} of {file}", where)


def _shared_files(source: Path) -> Iterator[Path]:
    if not source.is_dir():
        return
    for folder in sorted(source.iterdir()):
        if folder.is_dir() and folder.name != PRIVATE:
            files = (path for path in sorted(folder.rglob("*")) if path.is_file())
            yield from (path for path in files if path.suffix in {".yml", ".yaml", ".json"})
