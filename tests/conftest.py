"""Runs of the real project that several test files look at, each in a folder of its own."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

# before anything imports MLflow or Kedro
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="1", KEDRO_DISABLE_TELEMETRY="1")
os.environ["no_proxy"] = "127.0.0.1,localhost"  # the services of the tests are on this machine

import pandas as pd
import pytest
import warm_start
from filelock import FileLock
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")

ROOT = Path(__file__).parents[1]
PACKAGE = "lifemiles_forecasting"
SAMPLE = ROOT / "data" / "01_raw" / "transactions"
OWN_VARIABLES = ("MLFLOW_TRACKING_", "MLFLOW_REGISTRY_URI", "KEDRO_", "LIFEMILES_", "SLURM_")


@dataclass(frozen=True)
class Project:
    """A copy of this project, with the same code and sample, whose outputs are its own."""

    folder: Path

    @classmethod
    def copy_to(cls, folder: Path, store: Path | None = None) -> "Project":
        """Copy it.

        Args:
            folder: an empty one.
            store: a tracking store to begin with, such as `empty_store`; None for none.
        """
        if store is not None:
            shutil.copy(store, folder / "mlflow.db")
        for name in ("pyproject.toml", ".telemetry"):
            shutil.copy(ROOT / name, folder)
        shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
        (folder / "conf" / "local").mkdir()
        (folder / "src").mkdir()
        (folder / "src" / PACKAGE).symlink_to(ROOT / "src" / PACKAGE)
        (folder / "data" / "01_raw").mkdir(parents=True)
        (folder / "data" / "01_raw" / "transactions").symlink_to(SAMPLE)
        return cls(folder)

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(OWN_VARIABLES)}
        return {**kept, "KEDRO_DISABLE_TELEMETRY": "1", **extra}

    def start(
        self, *arguments: str, output: int = subprocess.DEVNULL, errors: int, **extra: str
    ) -> subprocess.Popen[str]:
        """A real command that is not waited for; the caller says where its words go."""
        return subprocess.Popen(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=self.folder,
            env=self.environment(**extra),
            stdout=output,
            stderr=errors,
            text=True,
        )

    def kedro(
        self, *arguments: str, timeout: float = 600, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """A `kedro` command in the project's folder, without the seconds of starting Python."""
        return warm_start.kedro(arguments, self.folder, self.environment(**extra), timeout)

    def output(self, name: str, data_root: str = "data") -> Path:
        return self.folder / data_root / name


@dataclass(frozen=True)
class Trained:
    """A project after `kedro run --env=quick` on the whole sample."""

    project: Project
    result: subprocess.CompletedProcess[str]

    @cached_property
    def client(self) -> Any:
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.project.tracking_uri)

    @cached_property
    def parent(self) -> Any:
        experiment = self.client.get_experiment_by_name("LifeMiles_Forecasting_Training")
        (run,) = self.client.search_runs([experiment.experiment_id], "tags.run_level = 'pipeline'")
        return run

    @cached_property
    def children(self) -> list[Any]:
        condition = f"tags.mlflow.parentRunId = '{self.parent.info.run_id}'"
        return self.client.search_runs(
            [self.parent.info.experiment_id], condition, max_results=5_000
        )

    def frame(self, name: str) -> pd.DataFrame:
        """An output of the run; codes are text."""
        path = self.project.output(name)
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        codes = dict.fromkeys(("store_id", "partner_code", "store_code"), str)
        return pd.read_csv(path, dtype=codes, keep_default_na=False, na_values=[""])


@pytest.fixture(autouse=True)
def mlflow_variables() -> Iterator[None]:
    """A run inside this process may set MLflow's variables; the next test must not see them."""
    before = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
    yield
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        if name not in before:
            del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session", autouse=True)
def warm_start_ends() -> Iterator[None]:
    yield
    warm_start.end()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Folders that all processes of the tests share: who asks for one first makes it."""
    top = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        top = top.parent

    def folder(name: str, make: Callable[[Path], Any]) -> Path:
        whole = top / f"{name}.whole"
        with FileLock(top / f"{name}.lock"):
            if not whole.exists():
                (top / name).mkdir()
                make(top / name)
                whole.touch()
        return top / name

    return folder


@pytest.fixture(scope="session")
def empty_store(made_once: Callable[..., Path]) -> Path:
    """A SQLite tracking store without runs: MLflow takes seconds to make the tables of one."""

    def make(folder: Path) -> None:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        uri = f"sqlite:///{folder / 'mlflow.db'}"
        SqlAlchemyStore(uri, (folder / "mlruns").as_uri())._dispose_engine()

    return made_once("empty_store", make) / "mlflow.db"


@pytest.fixture(scope="session")
def copy_project(empty_store: Path) -> Callable[[Path], Project]:
    """Copies of the project whose tracking store has its tables."""
    return partial(Project.copy_to, store=empty_store)


@pytest.fixture(scope="session", autouse=True)
def settings_are_read_once() -> Iterator[None]:
    """Kedro reads settings.py at every command, and under pytest's deep stack for a second each."""
    from kedro.framework.project import settings

    configure, read = type(settings).configure, set()

    def once(self: Any, module: str) -> None:
        if module not in read:
            configure(self, module)
            read.add(module)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(settings), "configure", once)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported for the tests stays: nobody looks for garbage in it, then or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # or DuckDB complains that it is not freed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start commands come first: at the end there are short ones to share out.

    Before them the one whose first test makes `trained`, and after them those that look at it,
    so that no process waits for it.
    """
    folder, waits = Path(__file__).parent, {i.path for i in items if "trained" in i.fixturenames}

    def turn(item: pytest.Item) -> tuple[bool, bool, bool]:
        first = item.path == folder / "test_end_to_end.py"
        return item.path.parent != folder, not first, item.path in waits

    items.sort(key=turn)  # else as they were


@pytest.fixture(scope="session")
def trained(made_once: Callable[..., Path]) -> Trained:
    """From nothing: its tracking store is made by the run."""

    def make(folder: Path) -> None:
        (folder / "project").mkdir()
        project = Project.copy_to(folder / "project")
        pipes = {"output": subprocess.PIPE, "errors": subprocess.PIPE}
        with project.start("run", "--env=quick", **pipes) as made:
            words = made.communicate(timeout=600)
        assert made.returncode == 0, words
        (folder / "said.json").write_text(json.dumps([made.args, made.returncode, *words]))

    folder = made_once("trained", make)
    said = json.loads((folder / "said.json").read_text())
    return Trained(Project(folder / "project"), subprocess.CompletedProcess(*said))


def write_few_stores(folder: Path, months: int) -> Path:
    """The sample's last months of the four largest stores of two partners, and two rare stores."""
    files = {
        file.name.removesuffix(".gz"): pd.read_csv(file, dtype=str, keep_default_na=False)
        for file in sorted(SAMPLE.glob("*.csv.gz"))[-months:]
    }
    rows = pd.concat(list(files.values())[-4:])
    rows = rows[rows["Partner Code"].isin(["CJGRO", "CJFRE"])]
    count = rows.groupby(["Partner Code", "Store Code"]).size().sort_values(kind="stable")
    largest = count.groupby("Partner Code").tail(4).index
    rare = count[count == count.min()].index[:2]
    for name, month in files.items():
        store = pd.MultiIndex.from_frame(month[["Partner Code", "Store Code"]])
        month[store.isin(largest.union(rare))].to_csv(folder / name, index=False)
    return folder


@pytest.fixture(scope="session")
def few_stores(made_once: Callable[..., Path]) -> Path:
    """Four months of ten stores, of which eight are large."""
    return made_once("few_stores", partial(write_few_stores, months=4))


@pytest.fixture(scope="session")
def few_stores_longer(made_once: Callable[..., Path]) -> Path:
    """Eight months of the same stores."""
    return made_once("few_stores_longer", partial(write_few_stores, months=8))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL cluster of the tests' own, `services.Postgres`."""
    pytest.importorskip("psycopg", reason="the Python package psycopg is missing")
    import services

    binaries = services.postgres_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is missing; as root, tests/setup_system.sh installs Debian's")
    with services.postgres_cluster(binaries) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def spark() -> Iterator[dict[str, str]]:
    """Settings of the one Spark session of this process, which ends with the tests."""
    sys.path.append(str(Path(sys.prefix) / "spark"))  # where `make test` puts it
    pyspark = pytest.importorskip("pyspark.sql", reason="the Python package pyspark is missing")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Java is missing; as root, tests/setup_system.sh installs Debian's")
    # small data: compiling its queries well would take longer than answering them
    settings = {"spark.sql.codegen.wholeStage": "false", "spark.sql.shuffle.partitions": "2"}
    settings["spark.sql.codegen.factoryMode"] = "NO_CODEGEN"
    settings["spark.driver.extraJavaOptions"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    yield settings
    session = pyspark.SparkSession.getActiveSession()
    if session is not None:
        session.stop()


@pytest.fixture(scope="session")
def mlflow_server(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """`mlflow server` with PostgreSQL as its store, `services.MlflowServer`."""
    import services

    uri = postgres.create_database("tracking")
    with services.mlflow_server(uri, tmp_path_factory.mktemp("mlflow_server")) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright; of one module, as it needs an event loop."""
    api = pytest.importorskip("playwright.sync_api", reason="the package playwright is missing")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is missing; as root, tests/setup_system.sh installs Debian's")
    with api.sync_playwright() as playwright:
        # root has no sandbox; the page comes from our own tests
        chromium = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def fresh_project(tmp_path: Path, copy_project: Callable[[Path], Project]) -> Iterator[Project]:
    """A copy without outputs or runs; what a run of this process does to MLflow is undone."""
    import mlflow

    before = mlflow.get_tracking_uri()
    folder = tmp_path / "project"
    folder.mkdir()
    yield copy_project(folder)
    mlflow.set_tracking_uri(before)


@pytest.fixture
def open_project(fresh_project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Open the project as every Kedro command does; files of conf/ by name are written before."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    folder = fresh_project.folder
    monkeypatch.chdir(folder)
    for name in [n for n in os.environ if n.startswith(("LIFEMILES_", "MLFLOW_TRACKING_URI"))]:
        monkeypatch.delenv(name)

    def context(files: Any = (), env: str | None = None, **parameters: Any) -> Any:
        for name, text in dict(files).items():
            (folder / "conf" / name).write_text(text)
        bootstrap_project(folder)
        with KedroSession.create(folder, env=env, runtime_params=parameters) as session:
            return session.load_context()

    return context


@pytest.fixture
def heeded_signals() -> Iterator[None]:
    """A background shell ignores Ctrl-C and hang-ups, and what it starts inherits that."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def client(tmp_path: Path, empty_store: Path) -> Iterator[Any]:
    """A real SQLite tracking store with one experiment, and MLflow's global state put back."""
    import mlflow
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.tracking.store import tune_sqlite

    before = mlflow.get_tracking_uri()
    tune_sqlite()
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(tracking_uri=uri)
    client.create_experiment("Training", artifact_location=(tmp_path / "mlruns").as_uri())
    mlflow.set_experiment("Training")
    yield client
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
