"""A registered model of a few stores, and a real server of it; the tests only read them."""

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import psutil
import pytest
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.core import backtest
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.config import DataSettings
from lifemiles_forecasting.core.events import no_events
from lifemiles_forecasting.core.fleet_of_run import fleet_of_run, recipe_of
from lifemiles_forecasting.core.forecast import final_intervals, forecast_all
from lifemiles_forecasting.core.gate import Finding, Verdict
from lifemiles_forecasting.core.results import Registration
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.study import build_study, prepare
from lifemiles_forecasting.core.synthetic import describe, generate_series, small_settings
from lifemiles_forecasting.tracking.names import REGISTERED_MODEL
from lifemiles_forecasting.tracking.registered_fleet import log_and_register
from lifemiles_forecasting.tracking.store import tune_sqlite

HORIZON = 14
ODD_CODE = 'O\'Hara "ñandú" <script>alert(1)</script>'
NUMBERS = [c.FORECAST, "lower_80", "upper_80", "lower_95", "upper_95"]
PATIENCE = 60  # seconds for the server to be ready


@dataclass(frozen=True)
class Registered:
    """A store with a champion, version 1, and a challenger, version 2, one byte of it changed."""

    uri: str
    folder: Path
    forecasts: pd.DataFrame  # as the run that trained the champion wrote them

    def rows(self, store, horizon=None):
        known = self.forecasts[c.STORE_ID] == store
        if horizon is not None:
            known &= self.forecasts[c.HORIZON] == horizon
        return self.forecasts[known]

    def assert_rows(self, answers, *asked):
        """Answers are the rows of these stores (and days ahead), equal up to 1e-9, in order."""
        wanted = pd.concat([self.rows(*question) for question in asked], ignore_index=True)
        found = pd.DataFrame(answers, columns=list(c.FORECASTS))
        kinds = dict.fromkeys(NUMBERS, float) | {c.HORIZON: int}
        pd.testing.assert_frame_equal(
            found.astype(kinds), wanted.astype(kinds), rtol=0, atol=1e-9, check_dtype=False
        )

    def model_folder(self, version):
        client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        source = client.get_model_version(REGISTERED_MODEL, str(version)).source
        return self.folder / "mlruns" / "models" / source.removeprefix("models:/") / "artifacts"


def make_run(folder):
    """Train ten small stores; their model, and their forecasts by way of a CSV file."""
    made = generate_series(n_stores=10, n_days=220).series
    names = made.stores[[c.PARTNER_CODE, c.STORE_CODE]].copy()
    names.loc[9, c.STORE_CODE] = ODD_CODE
    series = Series(made.y, made.dates, describe(made.y, made.dates, names))
    chosen, attempted = prepare(series, HORIZON, 60, None)
    settings = small_settings(candidates=("base", "direct", "local_catboost"))
    study = build_study(chosen, attempted, HORIZON, settings, 7, 60)
    result = backtest.run(study)
    recipe = recipe_of(study, result, "billings", DataSettings(columns={}, dormant_days=56))
    table = forecast_all(study, result, final_intervals(study, result), series)
    table.to_csv(folder / "forecasts.csv", index=False)
    codes = dict.fromkeys((c.STORE_ID, c.PARTNER_CODE, c.STORE_CODE), str)
    return fleet_of_run(study, result, series, recipe, no_events()), pd.read_csv(
        folder / "forecasts.csv", dtype=codes
    )


@pytest.fixture(scope="session")
def registered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registered")
    fleet, forecasts = make_run(folder)
    before, uri = mlflow.get_tracking_uri(), f"sqlite:///{folder / 'mlflow.db'}"
    tune_sqlite()
    mlflow.set_tracking_uri(uri)
    artifacts = (folder / "mlruns").as_uri()
    experiment = mlflow.create_experiment("Training", artifact_location=artifacts)
    for findings in ((), (Finding("wape", "worse"),)):
        with mlflow.start_run(experiment_id=experiment) as run:
            new = Registration(fleet, fleet, Verdict(findings))
            log_and_register(MlflowClient(), run.info.run_id, new)
    mlflow.set_tracking_uri(before)
    all_of_it = Registered(uri, folder, forecasts)
    changed = all_of_it.model_folder(2) / "data" / "fleet" / "direct.cbm"
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    return all_of_it


@dataclass(frozen=True)
class Answer:
    """Of the server."""

    status: int
    text: str

    @property
    def json(self):
        """As the standard has it: NaN and Infinity are none."""

        def refuse(name):
            raise ValueError(f"{name} is not JSON")

        return json.loads(self.text, parse_constant=refuse)


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    log: Path

    def post(self, body, content_type="application/json"):
        """Ask with bytes, text, or what becomes JSON."""
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/invocations",
            data=text.encode() if isinstance(text, str) else text,
            headers={"Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode())

    def ask(self, *rows):
        answer = self.post({"dataframe_records": list(rows)})
        assert answer.status == 200, answer.text
        return answer.json["predictions"]

    def is_ready(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=5).close()
        except OSError:
            return False
        return True


def unused_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def free_port():
    return unused_port()


@pytest.fixture(scope="session")
def server(registered, copy_project, tmp_path_factory):
    """`kedro serve` of the champion; it ends, with its children, when it is told to."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    running = Server(unused_port(), registered.folder / "server.log")
    with running.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", "serve", "--port", str(running.port)],
            cwd=project.folder,
            env=project.environment(MLFLOW_TRACKING_URI=registered.uri),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(process, running)
        yield running
    finally:
        still = process.poll() is None
        children = psutil.Process(process.pid).children(recursive=True) if still else []
        process.terminate()
        process.wait(10)
        alive = psutil.wait_procs(children, timeout=10)[1]
        for child in alive:
            child.kill()
        assert alive == []


def wait_until_ready(process, running):
    for _ in range(PATIENCE * 10):
        if running.is_ready():
            return
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"no server: {running.log.read_text()}")
