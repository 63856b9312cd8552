import sys

import numpy as np
import pandas as pd
import pytest
import runner
from process import measured
from registry import NAIVE, PEERS, PROJECT, Peer

from lifemiles_forecasting.core.candidates.closed import CLOSED
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import generate_series, to_panel

OURSELVES = Peer("naive.py", NAIVE, sys.prefix)  # needs pandas and no more


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "CACHE", tmp_path / "cache")
    series = generate_series(n_stores=8, n_days=200, seed=3).series
    return runner.write_job(tmp_path / "job", to_panel(series), series.stores)


@pytest.mark.parametrize(
    ("peer", "ours"),
    [("seasonal naive 7", "seasonal_naive"), ("window average 8", "window_average")],
)
def test_naive_peer_in_its_own_process_equals_our_naive_candidate(job, peer, ours):
    made = runner.run_peer(peer, OURSELVES, job).forecasts
    panel, stores = (pd.read_parquet(job / f"{table}.parquet") for table in ("panel", "stores"))
    series = Series.from_frames(panel, stores)
    assert made["origin"].nunique() == runner.WINDOWS
    for origin, window in made.groupby("origin"):
        column = int(np.searchsorted(series.dates, np.datetime64(origin, "D")))
        expected = CLOSED[ours](series.until(column + 1), runner.HORIZON)
        wide = window.pivot(index="store_id", columns="date", values="y_hat")
        wide = wide.reindex(series.store_ids)
        np.testing.assert_allclose(wide.to_numpy(), expected)


def test_forecasts_are_kept_until_the_panel_changes_or_fresh_is_asked_for(job):
    first = runner.run_peer("seasonal naive 7", OURSELVES, job)
    kept = runner.CACHE.glob("*/cost.json")
    before = next(kept).stat().st_mtime_ns
    again = runner.run_peer("seasonal naive 7", OURSELVES, job)
    assert next(runner.CACHE.glob("*/cost.json")).stat().st_mtime_ns == before
    pd.testing.assert_frame_equal(first.forecasts, again.forecasts)
    assert (first.kept, again.kept) == (False, True)
    runner.run_peer("seasonal naive 7", OURSELVES, job, fresh=True)
    assert next(runner.CACHE.glob("*/cost.json")).stat().st_mtime_ns > before
    panel = pd.read_parquet(job / "panel.parquet")
    panel.assign(y=panel["y"] + 1).to_parquet(job / "panel.parquet")
    runner.run_peer("seasonal naive 7", OURSELVES, job)
    assert len(list(runner.CACHE.iterdir())) == 2


def test_job_holds_no_origin_whose_window_is_not_known(job):
    calendar = pd.read_parquet(job / "calendar.parquet")
    panel = pd.read_parquet(job / "panel.parquet")
    assert calendar["date"].max() - panel["date"].max() == pd.Timedelta(days=runner.HORIZON)
    assert not calendar.isna().any().any()


def test_a_command_is_measured_with_its_children(tmp_path):
    busy = "sum(range(20_000_000))"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{busy}'])"
    took = measured([sys.executable, "-c", child], tmp_path)
    assert took.cpu > 0.1
    assert took.wall > 0.1
    assert took.peak_mb > 1


def test_a_command_that_fails_says_why(tmp_path):
    with pytest.raises(SystemExit, match="no such peer"):
        measured([sys.executable, "-c", "raise SystemExit('no such peer')"], tmp_path)


def test_every_peer_has_its_script_and_a_lock():
    for peer in PEERS.values():
        assert (PROJECT / "benchmarks/peers" / peer.script).exists()
        lock = f"requirements{peer.environment.removeprefix('.venv')}.lock"
        assert (PROJECT / "benchmarks" / lock).exists()
