"""The notebooks, run from top to bottom on what real runs have left."""

import json
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from nbclient import NotebookClient

from lifemiles_forecasting.tracking.store import tune_sqlite
from lifemiles_forecasting.tracking.synthetic import synthetic_training

ROOT = Path(__file__).parents[1]
NOTEBOOKS, SAMPLE = ROOT / "notebooks", ROOT / "data" / "01_raw" / "transactions"
NAMES = ("01_explore_transactions", "02_compare_runs", "03_what_if")
LONGEST = 25  # lines of a cell; what is longer belongs into the package


def read(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


@pytest.fixture
def execute(trained, tmp_path, monkeypatch):
    """Run a notebook where it lies in a project; what an expression is at its end, as JSON."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    own = {"IPYTHONDIR": str(tmp_path / "ipython"), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    folder = trained.project.folder / "notebooks"
    folder.mkdir(exist_ok=True)
    docs = folder.parent / "docs"
    if not docs.exists():
        shutil.copytree(ROOT / "docs" / "examples", docs / "examples")

    def run(name, wanted, **variables):
        notebook = read(name)
        last = nbformat.v4.new_code_cell(f"import json\nprint(json.dumps({wanted}, default=str))")
        notebook.cells.append(last)
        where = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where)
        client.execute(env=trained.project.environment(**own, **variables))
        said = [out.text for out in last.outputs if out.get("name") == "stdout"]
        return json.loads("".join(said))

    return run


def test_these_are_all_notebooks():
    assert sorted(file.stem for file in NOTEBOOKS.glob("*.ipynb")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_kept_without_outputs_and_defines_little(name):
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert [cell for cell in cells if cell.outputs or cell.execution_count] == []
    assert max(len(cell.source.splitlines()) for cell in cells) <= LONGEST
    assert "class " not in "".join(cell.source for cell in cells)


def test_explore_transactions_counts_what_is_in_the_files(execute, trained):
    wanted = (
        '{"rows": months["rows"].tolist(), "amount": months["amount"].sum(), '
        '"classes": classes["stores"].to_dict(), "largest": list(largest)}'
    )
    found = execute("01_explore_transactions", wanted)
    raw = [pd.read_csv(file, dtype=str) for file in sorted(SAMPLE.glob("*.csv.gz"))]
    assert found["rows"] == [len(file) for file in raw]
    panel, stores = (trained.frame(f"03_primary/{name}.parquet") for name in ("panel", "stores"))
    assert found["amount"] == pytest.approx(panel["y"].sum())
    assert found["classes"] == stores["store_class"].value_counts().sort_index().to_dict()
    by_partner = panel.merge(stores).groupby("partner_code")["y"].sum()
    assert found["largest"] == by_partner.nlargest(5).index.tolist()


def test_compare_runs_reads_the_tracking_store(execute, tmp_path):
    tune_sqlite()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("Nightly", (tmp_path / "mlruns").as_uri())
    older, newer = (
        synthetic_training(client, experiment, stores=stores, started=started)
        for stores, started in ((4, 1_000), (3, 2_000))
    )
    wanted = (
        '{"best": best["run_id"].tolist(), "worst": len(worst), "remarks": remarks, '
        '"runs": [row["run_id"] for row in tables["runs"]]}'
    )
    found = execute("02_compare_runs", wanted, MLFLOW_TRACKING_URI=uri)
    assert set(found["best"]) == {older, newer}
    assert found["worst"] == 7
    assert found["runs"] == [older, newer]
    assert "4 and 3, 3 in both" in found["remarks"][0]


def test_what_if_finds_the_effect_that_was_put_in(execute):
    wanted = '{"table": what_if.to_dict("list"), "own": effect}'
    found = execute("03_what_if", wanted)
    table = pd.DataFrame(found["table"])
    planned = (table["truth"] > table["truth_without"]).to_numpy()
    assert planned.sum() == 5
    effect = table["effect_percent"].to_numpy()
    assert (effect[planned] > 25).all()
    assert np.abs(effect[~planned]).max() < 5
    # the plan brings the forecast nearer to what will be sold
    errors = {name: (table[name] - table["truth"]).abs()[planned].mean() for name in table}
    assert errors["with"] < errors["without"] / 2
    assert found["own"] == 0  # this run was trained without events, and knows of none
