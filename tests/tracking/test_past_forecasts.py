"""Past forecasts, read back from a real tracking store."""

import http.server
import threading
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.synthetic_run import synthetic_run
from lifemiles_forecasting.tracking.past_forecasts import ForecastArchive

FIRST = np.datetime64("2018-01-04")  # the made-up runs forecast 2018-01-01 to 28


@pytest.fixture(scope="module")
def forecasts():
    return synthetic_run(6).forecasts


def leave(client, forecasts, name, *, started=0, target="billings", status="FINISHED", **tags):
    """A run with its forecasts, as a scoring or training run leaves it; gives its folder."""
    experiment = client.get_experiment_by_name("Training").experiment_id
    tags = {"run_level": "scoring", **tags}
    run = client.create_run(experiment, start_time=1_000 + started, tags=tags, run_name=name)
    client.log_param(run.info.run_id, "target", target)
    folder = Path(run.info.artifact_uri.removeprefix("file://")) / "forecasts"
    folder.mkdir(parents=True)
    if forecasts is not None:
        forecasts.to_parquet(folder / "forecasts.parquet", index=False)
    client.set_terminated(run.info.run_id, status)
    return folder


def archive(client):
    return ForecastArchive(client, client.get_experiment_by_name("Training").experiment_id)


def test_forecasts_come_back_as_they_were_made(client, forecasts):
    leave(client, forecasts, "scored", started=1)
    leave(client, forecasts, "trained", run_level="pipeline")
    past = archive(client).read("billings", FIRST, 9)
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


def test_only_runs_that_prove_something_are_read(client, forecasts):
    leave(client, forecasts, "right")
    leave(client, forecasts, "wrong target", target="miles")
    leave(client, forecasts, "unfinished", status="FAILED")
    leave(client, forecasts, "partial", run_level="partial")
    leave(client, forecasts, "store", run_level="store")
    leave(client, forecasts, "knew the answer", retrospective="true")
    leave(client, forecasts, "looked ahead", retrospective="false")
    past = archive(client).read("billings", FIRST, 99)
    names = [client.get_run(run_id).info.run_name for run_id in past.frame["run_id"].unique()]
    assert sorted(names) == ["looked ahead", "right"]


def test_newest_runs_of_both_levels_within_the_bound(client, forecasts):
    few = forecasts.head(28)
    for number in range(8):
        level = "pipeline" if number % 2 else "scoring"
        leave(client, few, f"run {number}", started=number, run_level=level)
    past = archive(client).read("billings", FIRST, 5)
    names = [client.get_run(run_id).info.run_name for run_id in past.frame["run_id"].unique()]
    assert names == [f"run {number}" for number in (7, 6, 5, 4, 3)]
    assert past.cut
    assert not archive(client).read("billings", FIRST, 8).cut


def test_runs_are_searched_page_by_page(client, forecasts, monkeypatch):
    monkeypatch.setattr("lifemiles_forecasting.tracking.past_forecasts._PAGE", 2)
    for number in range(5):
        # runs that do not count do not use the bound up
        leave(client, forecasts.head(28), "no test", started=90 + number, retrospective="true")
        leave(client, forecasts.head(28), "test", started=number)
    assert archive(client).read("billings", FIRST, 5).runs == 5


def test_unreadable_run_is_told_and_the_others_count(client, forecasts):
    leave(client, forecasts, "right")
    (leave(client, None, "damaged") / "forecasts.parquet").write_bytes(b"PAR1 no")
    leave(client, None, "deleted")
    leave(client, forecasts.drop(columns="lower_80"), "of another version")
    past = archive(client).read("billings", FIRST, 9)
    assert past.runs == 1
    reasons = {run.rpartition(" (")[0]: reason for run, reason in past.left_out.items()}
    assert set(reasons) == {"damaged", "deleted", "of another version"}
    assert "lower_80" in reasons["of another version"]
    assert all("\n" not in reason for reason in past.left_out.values())


def test_read_InputError_when_nothing_reaches_the_period(client, forecasts):
    expected = (
        r"found no forecast of billings for 2018-03-01 or later in experiment "
        r"'Training' \(1 runs\); expected one that a training or scoring run made before. Forecast"
    )
    leave(client, forecasts, "too old")
    with pytest.raises(InputError, match=expected):
        archive(client).read("billings", np.datetime64("2018-03-01"), 9)
    with pytest.raises(InputError, match=r"no forecast of miles .* \(0 runs\)"):
        archive(client).read("miles", FIRST, 9)


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


def test_forecasts_on_a_server_are_downloaded(client, forecasts, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    forecasts.to_parquet(tmp_path / "forecasts.parquet", index=False)
    ArtifactServer.content = (tmp_path / "forecasts.parquet").read_bytes()
    before = set(Path(gettempdir()).iterdir())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), ArtifactServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        location = (
            f"http://127.0.0.1:{server.server_port}/api/2.0/mlflow-artifacts/artifacts/scored"
        )
        experiment = client.create_experiment("Served", artifact_location=location)
        run = client.create_run(experiment, tags={"run_level": "scoring"})
        client.log_param(run.info.run_id, "target", "billings")
        client.set_terminated(run.info.run_id)
        past = ForecastArchive(client, experiment).read("billings", FIRST, 9)
        ArtifactServer.content = b""
        with pytest.raises(InputError, match=r"1 runs; .* cannot be read: Failed to download"):
            ForecastArchive(client, experiment).read("billings", FIRST, 9)
        server.shutdown()
    wanted = forecasts[forecasts[c.DATE] >= pd.Timestamp(FIRST)]
    assert past.frame[c.FORECAST].tolist() == wanted[c.FORECAST].tolist()
    assert set(Path(gettempdir()).iterdir()) <= before  # nothing of it stays


def test_reason_holds_no_password_and_no_signature(client, monkeypatch):
    location = "s3://bucket/runs"
    experiment = client.create_experiment("Elsewhere", artifact_location=location)
    run = client.create_run(experiment, tags={"run_level": "scoring"})
    client.log_param(run.info.run_id, "target", "billings")
    client.set_terminated(run.info.run_id)

    def refused(*_):
        raise OSError("403 for https://me:secret@store.example/forecasts?Signature=secret today")

    monkeypatch.setattr(client, "download_artifacts", refused)
    with pytest.raises(
        InputError, match=r"403 for https://store.example/forecasts today"
    ) as caught:
        ForecastArchive(client, experiment).read("billings", FIRST, 9)
    assert "secret" not in str(caught.value)
