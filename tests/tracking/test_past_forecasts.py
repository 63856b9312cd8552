"""Past forecasts, read back from a real tracking store."""

import http.server
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from pyarrow import parquet

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError, TrackingError
from lifemiles_forecasting.core.synthetic_run import synthetic_run
from lifemiles_forecasting.tracking.names import HISTORY_TAG, REGISTERED_MODEL
from lifemiles_forecasting.tracking.past_forecasts import ForecastArchive
from lifemiles_forecasting.tracking.registry import Registry
from lifemiles_forecasting.tracking.store import tune_sqlite

FIRST = np.datetime64("2018-01-04")  # the made-up runs forecast 2018-01-01 to 28


@pytest.fixture(scope="module")
def forecasts():
    return synthetic_run(6).forecasts


@dataclass(frozen=True)
class Runs:
    """An experiment of a test's own, in a tracking store that the tests share."""

    client: MlflowClient
    experiment: str

    def leave(self, forecasts, name, *, started=0, target="billings", status="FINISHED", **tags):
        """A run with its forecasts, as a scoring or training run leaves it; gives its folder."""
        tags = {"run_level": "scoring", **tags}
        run = self.client.create_run(
            self.experiment, start_time=1_000 + started, tags=tags, run_name=name
        )
        self.client.log_param(run.info.run_id, "target", target)
        folder = Path(run.info.artifact_uri.removeprefix("file://")) / "forecasts"
        folder.mkdir(parents=True)
        if forecasts is not None:
            forecasts.to_parquet(folder / "forecasts.parquet", index=False)
        self.client.set_terminated(run.info.run_id, status)
        return folder

    def read(self, target="billings", first=FIRST, max_runs=9):
        return ForecastArchive(self.client, self.experiment).read(target, first, max_runs)

    def names(self, past):
        """The names of the runs, in the order in which they were read."""
        return [self.client.get_run(run).info.run_name for run in past.frame["run_id"].unique()]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    tune_sqlite()
    return MlflowClient(f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}")


@pytest.fixture
def runs(store, tmp_path, request):
    place = (tmp_path / "mlruns").as_uri()
    return Runs(store, store.create_experiment(request.node.name, artifact_location=place))


def test_forecasts_come_back_as_they_were_made(runs, forecasts):
    runs.leave(forecasts, "scored", started=1)
    runs.leave(forecasts, "trained", run_level="pipeline")
    past = runs.read()
    assert (past.runs, dict(past.left_out), past.cut) == (2, {}, False)
    wanted = forecasts[forecasts[c.DATE] >= pd.Timestamp(FIRST)].drop(columns=c.STORE_CODE)
    frame = past.frame
    for run_id, trains in zip(frame["run_id"].unique(), (False, True), strict=True):  # newest first
        part = frame[frame["run_id"] == run_id]
        assert (part["trains"] == trains).all()
        assert (part[c.ORIGIN] == pd.Timestamp("2017-12-31")).all()
        back = part[wanted.columns].astype(
            dict.fromkeys([c.STORE_ID, c.PARTNER_CODE, c.STATUS], object)
        )
        pd.testing.assert_frame_equal(
            back.reset_index(drop=True), wanted.reset_index(drop=True), check_dtype=False
        )


def test_only_runs_that_prove_something_are_read(runs, forecasts):
    runs.leave(forecasts, "right")
    runs.leave(forecasts, "wrong target", target="miles")
    runs.leave(forecasts, "unfinished", status="FAILED")
    runs.leave(forecasts, "partial", run_level="partial")
    runs.leave(forecasts, "store", run_level="store")
    runs.leave(forecasts, "knew the answer", retrospective="true")
    runs.leave(forecasts, "looked ahead", retrospective="false")
    past = runs.read(max_runs=99)
    assert sorted(runs.names(past)) == ["looked ahead", "right"]


def test_files_of_other_versions_go_together(runs, forecasts):
    runs.leave(forecasts, "ours")
    folder = runs.leave(None, "of another pandas")
    table = pa.Table.from_pandas(forecasts, preserve_index=False)
    other = {c.DATE: pa.timestamp("ms"), c.HORIZON: pa.int32()}
    other |= dict.fromkeys((c.STORE_ID, c.PARTNER_CODE, c.STATUS), pa.large_string())
    fields = [field.with_type(other.get(field.name, field.type)) for field in table.schema]
    parquet.write_table(table.cast(pa.schema(fields)), folder / "forecasts.parquet")
    past = runs.read()
    assert (past.runs, dict(past.left_out)) == (2, {})
    one, two = (part.drop(columns="run_id") for _, part in past.frame.groupby("run_id"))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), two.reset_index(drop=True))


def test_run_that_trained_a_few_stores_says_which(runs, forecasts):
    folder = runs.leave(forecasts, "drifted", run_level="pipeline", training_mode="drifted")
    stores = forecasts[c.STORE_ID].unique()
    parent = {"mlflow.parentRunId": folder.parents[1].name}
    for store in stores[:2]:
        runs.leave(None, store, run_level="store", store_id=store, **parent)
    frame = runs.read().frame
    assert set(frame.loc[frame["trains"], c.STORE_ID]) == set(stores[:2])
    assert set(frame.loc[~frame["trains"], c.STORE_ID]) == set(stores[2:])


def test_newest_runs_of_both_levels_within_the_bound(runs, forecasts):
    few = forecasts.head(28)
    for number in range(8):
        level = "pipeline" if number % 2 else "scoring"
        runs.leave(few, f"run {number}", started=number, run_level=level)
    past = runs.read(max_runs=5)
    assert runs.names(past) == [f"run {number}" for number in (7, 6, 5, 4, 3)]
    assert past.cut
    assert not runs.read(max_runs=8).cut


def test_runs_are_searched_page_by_page(runs, forecasts, monkeypatch):
    monkeypatch.setattr("lifemiles_forecasting.tracking.past_forecasts._PAGE", 2)
    for number in range(5):
        # runs that do not count do not use the bound up
        runs.leave(forecasts.head(28), "no test", started=90 + number, retrospective="true")
        runs.leave(forecasts.head(28), "test", started=number)
    assert runs.read(max_runs=5).runs == 5


def test_unreadable_run_is_told_and_the_others_count(runs, forecasts):
    runs.leave(forecasts, "right")
    (runs.leave(None, "damaged") / "forecasts.parquet").write_bytes(b"PAR1 no")
    runs.leave(None, "deleted")
    runs.leave(forecasts.drop(columns="lower_80"), "of another version")
    past = runs.read()
    assert past.runs == 1
    reasons = {run.rpartition(" (")[0]: reason for run, reason in past.left_out.items()}
    assert set(reasons) == {"damaged", "deleted", "of another version"}
    assert "lower_80" in reasons["of another version"]
    assert all("\n" not in reason for reason in past.left_out.values())


def test_read_InputError_when_nothing_reaches_the_period(runs, forecasts):
    expected = (
        r"found no forecast of billings for 2018-03-01 or later in experiment "
        r"'test_\w+' \(1 runs\); expected one that a training or scoring run made before. Forecast"
    )
    runs.leave(forecasts, "too old")
    with pytest.raises(InputError, match=expected):
        runs.read(first=np.datetime64("2018-03-01"))
    with pytest.raises(InputError, match=r"no forecast of miles .* \(0 runs\)"):
        runs.read("miles")


@pytest.fixture
def registry(runs):
    """Version 1 is in charge, version 2 was refused, version 3 was rolled back."""
    registry = Registry(runs.client)
    for _ in range(3):
        run = runs.client.create_run(runs.experiment)
        registry.add(f"runs:/{run.info.run_id}/model", run.info.run_id, {"training_mode": "full"})
    registry.promote(1)
    registry.promote(3)
    registry.rollback()
    yield registry
    runs.client.delete_registered_model(REGISTERED_MODEL)


def test_refused_and_limited_models_are_left_out_beside_a_champion(runs, forecasts, registry):
    runs.leave(forecasts, "champion", run_level="pipeline", model_version="1")
    runs.leave(forecasts, "rolled back", run_level="pipeline", model_version="3")
    runs.leave(forecasts, "scored", model_version="1")
    for number in range(3):  # newer ones, which do not use the bound up
        late = {"started": 9 + number}
        runs.leave(forecasts, "refused", run_level="pipeline", model_version="2", **late)
        runs.leave(forecasts, "limited", run_level="pipeline", **late)
        runs.leave(forecasts, "tried out", model_version="2", **late)
    past = runs.read(max_runs=3)
    assert sorted(runs.names(past)) == ["champion", "rolled back", "scored"]
    assert (past.runs, past.cut, past.stand_ins) == (3, False, False)
    trains = past.frame.groupby("run_id")["trains"].all()
    assert {runs.client.get_run(run).info.run_name: one for run, one in trains.items()} == {
        "champion": True,
        "rolled back": True,
        "scored": False,
    }
    registry.promote(2)
    assert {"refused", "tried out"} <= set(runs.names(runs.read(max_runs=99)))


def test_refused_models_stand_in_where_no_champion_reaches_the_period(runs, forecasts, registry):
    early = forecasts[forecasts[c.DATE] < pd.Timestamp(FIRST)]
    runs.leave(early, "champion", run_level="pipeline", model_version="1")
    runs.leave(forecasts, "refused", run_level="pipeline", model_version="2")
    runs.leave(forecasts, "limited", run_level="pipeline")
    past = runs.read()
    assert sorted(runs.names(past)) == ["limited", "refused"]
    assert past.stand_ins
    assert not past.frame["trains"].any()


def test_without_any_champion_every_training_counts(runs, forecasts, registry):
    runs.client.delete_registered_model(REGISTERED_MODEL)
    run = runs.client.create_run(runs.experiment).info.run_id
    registry.challenge(registry.add(f"runs:/{run}/model", run, {}).version)
    runs.leave(forecasts, "refused", run_level="pipeline", model_version="1")
    runs.leave(forecasts, "limited", run_level="pipeline")
    past = runs.read()
    assert (past.runs, past.stand_ins) == (2, False)
    assert past.frame["trains"].all()


def test_registry_that_cannot_be_asked_is_not_taken_for_an_empty_one(
    runs, forecasts, registry, monkeypatch
):
    runs.leave(forecasts, "champion", run_level="pipeline", model_version="1")
    runs.client.set_registered_model_tag(REGISTERED_MODEL, HISTORY_TAG, "the first")
    with pytest.raises(TrackingError, match="expected numbers of versions with commas between"):
        runs.read()

    def away(*_):
        raise MlflowException("the registry is away")

    monkeypatch.setattr(MlflowClient, "get_registered_model", away)
    with pytest.raises(MlflowException, match="the registry is away"):
        runs.read()


class ArtifactServer(http.server.BaseHTTPRequestHandler):
    """What MLflow's artifact protocol needs to hand out one run's forecasts, and no other's."""

    content = b""

    def do_GET(self):
        listing, there = "?path=" in self.path, "/scored/" in self.path
        body = b'{"files": []}' if listing else self.content if there else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_forecasts_on_a_server_are_downloaded(store, forecasts, tmp_path, monkeypatch):
    forecasts.to_parquet(tmp_path / "forecasts.parquet", index=False)
    ArtifactServer.content = (tmp_path / "forecasts.parquet").read_bytes()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), ArtifactServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        location = (
            f"http://127.0.0.1:{server.server_port}/api/2.0/mlflow-artifacts/artifacts/scored"
        )
        experiment = store.create_experiment("Served", artifact_location=location)
        run = store.create_run(experiment, tags={"run_level": "scoring"})
        store.log_param(run.info.run_id, "target", "billings")
        store.set_terminated(run.info.run_id)
        past = ForecastArchive(store, experiment).read("billings", FIRST, 9)
        ArtifactServer.content = b""
        with pytest.raises(InputError, match=r"1 runs; .* cannot be read: Failed to download"):
            ForecastArchive(store, experiment).read("billings", FIRST, 9)
        server.shutdown()
    wanted = forecasts[forecasts[c.DATE] >= pd.Timestamp(FIRST)]
    assert past.frame[c.FORECAST].tolist() == wanted[c.FORECAST].tolist()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_reason_holds_no_password_and_no_signature(store, monkeypatch):
    location = "s3://bucket/runs"
    experiment = store.create_experiment("Elsewhere", artifact_location=location)
    run = store.create_run(experiment, tags={"run_level": "scoring"})
    store.log_param(run.info.run_id, "target", "billings")
    store.set_terminated(run.info.run_id)

    def refused(*_):
        raise OSError("403 for https://me:hunter2@store.example/forecasts?Signature=hunter2 today")

    monkeypatch.setattr(store, "download_artifacts", refused)
    with pytest.raises(
        InputError, match=r"403 for https://store.example/forecasts today"
    ) as caught:
        ForecastArchive(store, experiment).read("billings", FIRST, 9)
    assert "hunter2" not in str(caught.value)  # the run's name is MLflow's, and may be secretive
