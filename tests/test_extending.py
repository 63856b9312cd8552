"""The worked changes of docs/extending.md, applied to a copy of the project and run there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient
from small_models import as_parameters

from lifemiles_forecasting.core.calendar import NAMES, Calendar
from lifemiles_forecasting.core.config import HolidaySettings
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.tracking.fleet import read_fleet
from lifemiles_forecasting.tracking.names import REGISTERED_MODEL

ROOT, PACKAGE = Path(__file__).parents[1], "lifemiles_forecasting"
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"^## ", PAGE, flags=re.M)[1:]
WRITTEN = {"CJGRO": "EE. UU.", "CJFRE": "Gran Bretaña"}  # what the files call the countries


def changes(section):
    """The diff of a section, by file."""
    (block,) = re.findall(r"```diff\n(.*?)```", section, flags=re.S)
    files = re.split(r"^--- (\S+)\n", block, flags=re.M)
    assert files[0] == ""
    return dict(zip(files[1::2], files[2::2], strict=True))


def apply(diff, file):
    """Put a diff into a file, whose old lines must be there once."""
    lines = diff.splitlines()
    old, new = (
        "".join(f"{line[1:]}\n" for line in lines if line[:1] in kept)
        for kept in ((" ", "", "-"), (" ", "", "+"))
    )
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name} has not, or not once:\n{old}"
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def extended(copy_project, few_stores, tmp_path_factory):
    """A project with all four changes, after a run on stores of two countries."""
    project = copy_project(tmp_path_factory.mktemp("extended"))
    source = project.folder / "src" / PACKAGE
    source.unlink()
    shutil.copytree(ROOT / "src" / PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__"))
    for section in SECTIONS:
        for file, diff in changes(section).items():
            apply(diff, project.folder / file)
    raw = project.folder / "raw"
    raw.mkdir()
    for file in few_stores.iterdir():
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        rows.assign(Country=rows["Partner Code"].map(WRITTEN)).to_csv(raw / file.name, index=False)
    own_code = {"PYTHONPATH": str(project.folder / "src")}
    done = project.kedro(
        *("run", "--env=quick"),
        f"--params=raw_transactions=raw,modeling.workers=1,{as_parameters()}",
        **own_code,
    )
    assert done.returncode == 0, done.stderr
    few = "--params=leak_audit.stores=8,leak_audit.origins=1,modeling.workers=1"
    audited = project.kedro("run", "--pipelines=leak_audit", few, **own_code)
    assert audited.returncode == 0, audited.stderr
    return project


@pytest.fixture(scope="module")
def client(extended):
    return MlflowClient(tracking_uri=extended.tracking_uri)


@pytest.fixture(scope="module")
def parent(client):
    (run,) = client.search_runs(["1"], "tags.run_level = 'pipeline'")
    return run


def test_there_are_four_changes_of_at_most_fifteen_lines():
    titles = [section.splitlines()[0] for section in SECTIONS]
    assert titles == ["A metric", "A candidate", "A feature", "A country"]
    for title, section in zip(titles, SECTIONS, strict=True):
        diff = "".join(changes(section).values())
        assert 0 < len(re.findall(r"^[+-]", diff, flags=re.M)) <= 15, title


def test_the_changed_code_is_in_the_project_s_style(extended):
    for what in (("check",), ("format", "--check")):
        command = [sys.executable, "-m", "ruff", *what, "--no-cache", "src"]
        done = subprocess.run(
            command, cwd=extended.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_the_metric_is_measured_for_every_store_and_for_the_run(extended, parent):
    metrics = pd.read_csv(extended.output("08_reporting/store_metrics.csv"))
    backtest = pd.read_parquet(extended.output("07_model_output/backtest.parquet"))
    blend = backtest[
        (backtest["candidate"] == "blend") & (backtest["origin"] == backtest["origin"].max())
    ]
    expected = (blend["y_hat"] - blend["y"]).abs().groupby(blend["store_id"]).median()
    found = metrics.set_index("store_id")["test_medae"].dropna()
    pd.testing.assert_series_equal(found, expected.reindex(found.index), check_names=False)
    assert len(found) >= 5
    assert parent.data.metrics["avg_medae"] == pytest.approx(found.mean())


def test_the_candidate_is_tested_and_weighted(extended):
    weights = pd.read_parquet(extended.output("07_model_output/weights.parquet"))
    found = weights[weights["candidate"] == "weekday_median"]
    assert found["store_id"].nunique() == weights["store_id"].nunique() >= 5
    assert found["weight"].between(0, 1).all()
    assert found["weight"].max() > 0
    panel = pd.read_parquet(extended.output("03_primary/panel.parquet"))
    backtest = pd.read_parquet(extended.output("07_model_output/backtest.parquet"))
    row = backtest[backtest["candidate"] == "weekday_median"].iloc[-1]
    earlier = panel[(panel["store_id"] == row["store_id"]) & (panel["date"] <= row["origin"])]
    same = earlier[earlier["date"].dt.day_of_week == row["date"].day_of_week]
    assert row["y_hat"] == pytest.approx(same["y"].tail(8).median())


def test_the_feature_is_learned_from_and_passes_the_audit(extended, client, parent):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(extended.tracking_uri)  # whatever an earlier test has set
    try:
        model = read_fleet(f"runs:/{parent.info.run_id}/{REGISTERED_MODEL}")
    finally:
        mlflow.set_tracking_uri(before)
    assert "days_since_sale" in model.recipe["features"]["direct"]
    audit = pd.read_csv(extended.output("08_reporting/leak_audit.csv"))
    rows = audit[(audit["kind"] == "feature") & (audit["name"] == "days_since_sale")]
    assert rows["values"].sum() > 0
    assert not rows["changed"].any()


def test_the_country_has_its_holidays(extended):
    warnings = pd.read_csv(extended.output("08_reporting/warnings.csv"))
    assert "unknown_country" not in set(warnings["warning"])
    conf = extended.folder / "conf" / "base" / "parameters_modeling.yml"
    settings = yaml.safe_load(conf.read_text(encoding="utf-8"))["modeling"]["holidays"]
    frames = (
        pd.read_parquet(extended.output(f"03_primary/{n}.parquet")) for n in ("panel", "stores")
    )
    series = Series.from_frames(*frames)
    calendar = Calendar.of(series, 28, HolidaySettings(**settings))
    features = calendar.ahead(-1, len(series.dates))[:, :, NAMES.index("holiday")]
    british = (series.stores["country"] == "Gran Bretaña").to_numpy()
    assert 0 < british.sum() < len(british)
    boxing_day, thanksgiving = (
        int(np.flatnonzero(series.dates == np.datetime64(day))[0])
        for day in ("2017-12-26", "2017-11-23")
    )
    assert features[:, boxing_day].tolist() == british.astype(float).tolist()
    assert features[:, thanksgiving].tolist() == (~british).astype(float).tolist()
