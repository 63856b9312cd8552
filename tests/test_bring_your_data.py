"""docs/bring_your_data.md, done: files of another system, and an export from a warehouse."""

import contextlib
import re
from pathlib import Path

import duckdb
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "01_raw" / "transactions"
PAGE = (ROOT / "docs" / "bring_your_data.md").read_text(encoding="utf-8")
DAYS = pd.date_range("2017-09-01", periods=4)


def block(language):
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S)
    return text


@pytest.fixture
def process(fresh_project):
    """`kedro run --pipelines=data_processing` on a folder; the panel and the quarantine."""

    def run(folder):
        raw = f"--params=raw_transactions={folder}"
        done = fresh_project.kedro("run", "--pipelines=data_processing", raw)
        assert done.returncode == 0, done.stderr
        files = ("03_primary/panel.parquet", "02_intermediate/quarantine.parquet")
        return [pd.read_parquet(fresh_project.output(file)) for file in files]

    return run


def test_files_of_another_system_are_read_with_the_settings_of_the_page(fresh_project, process):
    (fresh_project.folder / "conf" / "local" / "parameters.yml").write_text(block("yaml"), "utf-8")
    raw = fresh_project.folder / "exports"
    raw.mkdir()
    rows = [f"007;01;{day:%d/%m/%Y};1,5;México" for day in DAYS]
    lines = ["Aliado;Tienda;Fecha;Monto USD;País", *rows, *rows[:1]]
    (raw / "septiembre.csv").write_text("\n".join(lines) + "\n", encoding="latin-1")
    panel, quarantine = process(raw)
    assert panel["store_id"].unique().tolist() == ["007_01"]
    assert panel["date"].tolist() == DAYS.tolist()
    assert panel["y"].tolist() == [3.0, 1.5, 1.5, 1.5]
    assert quarantine.empty
    stores = pd.read_parquet(fresh_project.output("03_primary/stores.parquet"))
    assert stores["country"].tolist() == ["México"]


def test_a_warehouse_is_exported_with_the_lines_of_the_page(fresh_project, process):
    folder, months = fresh_project.folder, sorted(SAMPLE.glob("*.csv.gz"))[-5:]
    listed = ", ".join(f"'{month}'" for month in months)
    with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
        warehouse.sql(f"""
            CREATE TABLE card_sales AS
            SELECT "Partner Code" AS partner, "Store Code" AS shop,
                   CAST("Transaction Date" AS TIMESTAMP) AS posted_at,
                   CAST("Facturación" AS DECIMAL(18, 3)) AS amount_usd, "Country" AS country,
                   "Activity Number" AS id, "Membership Number" AS member
            FROM read_csv([{listed}], all_varchar = true)
        """)
        expected = warehouse.sql("""
            SELECT partner || '_' || shop AS store_id, CAST(posted_at AS DATE) AS date,
                   CAST(sum(amount_usd) AS DOUBLE) AS y
            FROM card_sales WHERE posted_at >= '2017-09-01' GROUP BY ALL ORDER BY ALL
        """).df()
    (folder / "exports").mkdir()
    with contextlib.chdir(folder):
        exec(compile(block("python"), "bring_your_data.md", "exec"), {})
    header = (folder / "exports" / "card_sales.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "ember" not in header
    panel, quarantine = process(folder / "exports")
    assert quarantine.empty
    found = panel[panel["transactions"] > 0].sort_values(["store_id", "date"])
    assert len(found) == len(expected) > 10_000
    assert found["store_id"].tolist() == expected["store_id"].tolist()
    assert found["date"].tolist() == expected["date"].tolist()
    assert found["y"].to_numpy() == pytest.approx(expected["y"].to_numpy())
