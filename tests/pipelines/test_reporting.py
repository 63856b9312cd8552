"""The reporting pipeline on a made-up run, through its catalog's datasets."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from lifemiles_forecasting.core.quality import RunFrames, store_metrics
from lifemiles_forecasting.core.synthetic_run import (
    synthetic_balance,
    synthetic_failures,
    synthetic_importance,
    synthetic_run,
    synthetic_warnings,
)
from lifemiles_forecasting.pipelines.reporting import create_pipeline
from lifemiles_forecasting.pipelines.reporting.pipeline import FIGURES, FRAMES

CONF = Path(__file__).parents[2] / "conf" / "base"


def entries(root):
    """The catalog's entries as configured, below `root` and without MLflow."""
    text = (CONF / "catalog_reporting.yml").read_text(encoding="utf-8")
    text = text.replace("${runtime_params:data_root,${globals:paths.data_root}}", str(root))
    config = yaml.safe_load(text)
    return {name: entry.get("dataset", entry) for name, entry in config.items()}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    frames = synthetic_run(12)
    parameters = {
        "target": "billings",
        **yaml.safe_load((CONF / "parameters_reporting.yml").read_text(encoding="utf-8")),
    }
    memory = {
        **{name: getattr(frames, name) for name in FRAMES},
        "params:reporting": parameters["reporting"],
        "training_run": {"run": {}, "parameters": parameters},
        "failures": synthetic_failures(frames),
        "warnings": synthetic_warnings(),
        "importance": synthetic_importance(),
        "gate_verdict": {},
        "row_balance": synthetic_balance(frames),
    }
    config = {name: entry for name, entry in entries(root).items() if name not in memory}
    catalog = DataCatalog.from_config(config)
    for name, value in memory.items():
        catalog[name] = MemoryDataset(value)
    SequentialRunner().run(create_pipeline(), catalog)
    return frames, catalog, root / "08_reporting"


def test_frames_are_those_that_quality_names():
    assert RunFrames.names() == FRAMES


def test_every_entry_is_used_and_every_output_kept():
    pipeline = create_pipeline()
    assert set(entries("x")) == pipeline.all_outputs() | {"run_info"}


def test_outputs_are_written(run):
    _, _, folder = run
    expected = {"store_metrics.csv", "metrics.json", "coverage.csv", "report.html"}
    assert {path.name for path in folder.iterdir()} == expected | {f"{f}.json" for f in FIGURES}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Pronóstico" in page
    assert "Atlantis" in page


def test_store_metrics_come_back_as_they_were(run):
    from lifemiles_forecasting.core.config import ReportSettings
    from lifemiles_forecasting.core.quality import restored

    frames, catalog, _ = run
    settings = ReportSettings(**catalog.load("params:reporting"))
    expected = store_metrics(frames, settings)
    read = restored(catalog.load("store_metrics"))
    pd.testing.assert_frame_equal(read, expected, check_dtype=False)
    assert read["store_code"].iloc[0] == expected["store_code"].iloc[0]


def test_coverage_comes_back_as_it_was_and_is_in_the_metrics(run):
    from lifemiles_forecasting.core import coverage
    from lifemiles_forecasting.core.config import ReportSettings

    frames, catalog, _ = run
    settings = ReportSettings(**catalog.load("params:reporting"))
    expected = coverage.coverage_table(frames, settings)
    read = catalog.load("coverage")
    pd.testing.assert_frame_equal(read, expected, check_dtype=False)
    measured = catalog.load("aggregate_metrics")
    assert measured["coverage_points"] == expected["open_points"].iloc[0] == 280
    assert measured.keys() >= coverage.metrics(expected).keys()


def test_a_run_outside_the_band_is_warned_about(run, caplog):
    from lifemiles_forecasting.pipelines.reporting.nodes import evaluate_stores

    frames, catalog, _ = run
    strict = catalog.load("params:reporting") | {
        "coverage_band": [99, 100],
        "coverage_min_points": 10,
    }
    evaluate_stores(strict, **{name: getattr(frames, name) for name in FRAMES})
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("Flagged (too_low): the 80 % intervals are too narrow: they hold")


def test_codes_that_look_like_something_else_stay_text(run, tmp_path):
    _, catalog, _ = run
    table = catalog.load("store_metrics")
    table.loc[0, ["partner_code", "store_code", "store_id"]] = ["NA", "007", "NA_007"]
    dataset = DataCatalog.from_config({"store_metrics": entries(tmp_path)["store_metrics"]})
    dataset.save("store_metrics", table)
    row = dataset.load("store_metrics").loc[0]
    assert row[["partner_code", "store_code", "store_id"]].tolist() == ["NA", "007", "NA_007"]


def test_figures_can_be_previewed(run):
    _, catalog, _ = run
    for name in FIGURES:
        assert catalog[f"figure_{name}"].preview()["data"], name


def test_pipeline_module_loads_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys; import lifemiles_forecasting.pipelines.reporting;"
        "print([m for m in ('plotly', 'jinja2', 'sklearn', 'mlflow') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
