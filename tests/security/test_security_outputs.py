"""What may never leave a hostile project: member numbers, secrets, and codes that act.

The project of the fixture `hostile` was trained, scored, monitored, refused once and backed up.
"""

import csv
from html.parser import HTMLParser

import pytest
from hostile_project import HOSTILE_NAME, MEMBER, SECRET
from traces import traces

INPUTS = ("src", "conf/local", "data/01_raw")
QUARANTINES = (
    "data/02_intermediate/quarantine.parquet",
    "data/02_intermediate/scoring/quarantine.parquet",
    "data/02_intermediate/monitoring/quarantine.parquet",
)
CODES = dict.fromkeys(("store_id", "partner_code", "store_code", "subject", "value"), str)


@pytest.fixture(scope="module")
def left(hostile):
    """Name and text of everything that the project left behind or said."""
    found = list(traces(hostile.project.folder, without=INPUTS))
    return [*found, *((f"what {name} said", text) for name, text in hostile.said.items())]


def holding(left, text):
    return {name for name, content in left if text in content}


def test_the_search_sees_into_every_kind_of_file(left):
    """A code that has to be in all of them is found in all of them."""
    seen = holding(left, "' OR 1=1 --")
    expected = {
        *("rows of mlflow.db", "data/03_primary/panel.parquet"),
        *("data/08_reporting/report.html", "data/08_reporting/store_metrics.csv"),
        *("data/07_model_output/forecasts.csv", "data/07_model_output/scoring/forecasts.parquet"),
        *("data/08_reporting/monitoring/drift.csv", "backup.tar.gz/mlflow.db"),
    }
    assert expected <= seen
    for ending in ("state.json", "stores.parquet", "forecasts.csv", "report.html"):
        assert any(name.startswith("mlruns/") and name.endswith(ending) for name in seen), ending
        assert any(name.startswith("backup.tar.gz/mlruns/") and name.endswith(ending)
                   for name in seen), ending  # fmt: skip


def test_member_numbers_are_in_nothing_but_the_quarantine(left):
    assert holding(left, MEMBER) == set(QUARANTINES)


def test_secrets_are_nowhere(left, hostile):
    assert (hostile.project.folder / "conf" / "local" / "credentials.yml").is_file()
    assert len(left) > 100
    assert holding(left, SECRET) == set()
    assert len({"training", "scoring", "monitoring", "refusal"} & hostile.said.keys()) == 4
    assert all(hostile.said.values())


def test_reference_in_a_store_code_is_never_filled_in(left):
    assert "data/07_model_output/forecasts.csv" in holding(left, "${oc.env:AWS_SECRET_ACCESS_KEY}")


def test_store_codes_reach_no_path(hostile):
    top = hostile.project.folder.parent
    names = {path.name for path in top.rglob("*") if "src" not in path.relative_to(top).parts}
    assert not [name for name in names if any(sign in name for sign in "=<>'\";$")]
    assert not [name for name in names if "escaped" in name]
    assert {path.name for path in top.iterdir()} == {"project", "raw"}


@pytest.mark.parametrize("code", ["../../../escaped", "' OR 1=1 --", "x;=1+1"])
def test_store_codes_are_found_by_themselves_alone(hostile, code):
    from lifemiles_forecasting.tracking.queries import PastRuns

    table = hostile.forecasts("07_model_output/forecasts.parquet")
    (store_id,) = set(table.loc[table["store_code"] == code, "store_id"])
    (run,) = PastRuns(hostile.client).history(store_id, 10)
    assert run["store_id"] == store_id


class Page(HTMLParser):
    """Start tags of a page, and the text of its elements that are neither script nor style."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", ["report.html", "monitoring/monitoring.html"])
def test_reports_run_nothing_that_comes_from_the_rows(hostile, name):
    text = hostile.project.output(f"08_reporting/{name}").read_text("utf-8")
    marks = ("escaped", "evil.example", "x;=1+1", "alert(", "OR 1=1", "AWS_SECRET")
    assert any(mark in text for mark in marks)  # the codes are there
    tags = Page(text).tags
    assert not [attrs for _, attrs in tags if any(key.startswith("on") for key in attrs)]
    assert not [tag for tag, attrs in tags if tag in {"img", "iframe", "object"}]
    assert HOSTILE_NAME not in text
    assert "<script>alert(" not in text


def separators(file):
    """The file's cells as programs see them that part lines at a comma or, as in Spanish, at ;."""
    for separator in ",;\t":
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.reader(lines, delimiter=separator):
                yield from row


def is_number(cell):
    try:
        float(cell.partition(",")[0])
    except ValueError:
        return False
    return True


def test_no_cell_of_a_csv_file_is_a_formula(hostile):
    files = [
        file
        for file in hostile.project.folder.rglob("*.csv")
        if "01_raw" not in file.parts and "src" not in file.parts
    ]
    names = {file.name for file in files}
    assert {"forecasts.csv", "store_metrics.csv", "coverage.csv", "accuracy.csv", "drift.csv",
            "failures.csv", "warnings.csv"} <= names  # fmt: skip
    cells = {cell for file in files for cell in separators(file) if not is_number(cell)}
    assert not [cell for cell in cells if cell.lstrip(" ").startswith(tuple("=+-@\t\r"))]
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)


def test_csv_files_are_read_back_as_they_were(hostile):
    """Through the catalog: the codes of the CSV file are those of the parquet file."""
    from kedro.framework.session import KedroSession

    exact = hostile.forecasts("07_model_output/forecasts.parquet")
    with KedroSession.create(hostile.project.folder) as session:
        catalog = session.load_context().catalog
        read = catalog.load("forecasts_csv")
        metrics = catalog.load("store_metrics")
        drift = catalog.load("last_drift")
    keys = ["store_id", "partner_code", "store_code"]
    assert read[keys].astype(str).equals(exact[keys].astype(str))
    assert set(metrics["store_id"]) == set(drift["store_id"]) == set(exact["store_id"])
