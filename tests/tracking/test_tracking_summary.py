"""The summary of a training run: ten lines, and a description with links that lead somewhere."""

from urllib.parse import parse_qs, urlsplit

import pytest

from lifemiles_forecasting.tracking.entities import metrics_of, params_of, tags_of
from lifemiles_forecasting.tracking.summary import NOTE_TAG, Places, Summary, conclude, ui_command
from lifemiles_forecasting.tracking_config import places

PLACES = Places("data/08_reporting/report.html", "http://127.0.0.1:5000", "kedro mlflow ui")
METRICS = {
    "total_stores_attempted": 1218,
    "success_rate": 99.75,
    "wape": 74.93,
    "naive_wape": 96.81,
    "wape_28d": 17.3,
    "bias": 2.04,
    "avg_r2": -0.07,
    "quality_pobre_count": 1200,
}


@pytest.fixture
def run(client):
    run = client.create_run("1")
    metrics, _ = metrics_of(METRICS)
    tags = tags_of({"run_level": "pipeline", "training_mode": "full"})
    client.log_batch(
        run.info.run_id, metrics, params_of({"target": "billings", "horizon": 14}), tags
    )
    return run.info.run_id


def test_ten_lines_say_what_came_out(client, run):
    lines = conclude(client, run, PLACES)
    assert len(lines) == 10
    assert lines[0] == "Stores: 1,218 attempted, models stand for 99.8 %; full run"
    assert lines[1] == ("Accuracy: WAPE 74.9 %, naive 96.8 %; of 14-day totals 17.3 %; bias +2.0 %")
    assert "POBRE 1,200" in lines[4]
    assert "median -" in lines[2]  # what was not measured is not made up
    assert lines[6] == "Report: data/08_reporting/report.html"
    assert lines[7].endswith("after `kedro mlflow ui`")
    assert lines[9] == "In the terminal: kedro explore --experiment-id 1"


def test_quality_is_told_by_the_tiers_of_the_run(client):
    """The counts of the usual tiers are always there; what is not in use and empty is left out."""
    bounds = {"Silver": 0.5, "Gold": 0.9}
    run = client.create_run("1").info.run_id
    usual = {f"quality_{tier}_count": 0 for tier in ("excelente", "bueno", "regular")}
    counts = {"quality_gold_count": 3, "quality_silver_count": 0, "quality_pobre_count": 1200}
    params = {f"reporting.tiers.{name}.min_r2": bound for name, bound in bounds.items()}
    client.log_batch(run, metrics_of({**usual, **counts})[0], params_of(params))
    summary = Summary.of(client, run, PLACES)
    assert summary.lines()[4] == "Quality: GOLD 3, SILVER 0, POBRE 1,200"
    assert "| quality | GOLD 3, SILVER 0, POBRE 1,200 |" in summary.markdown()


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"model_role": "champion", "model_version": "4"}, "version 4 is the champion: it passed"),
        (
            {"model_role": "challenger", "model_version": "5", "gate_reasons": "bias +12 %"},
            "version 5 is the challenger: bias +12 %",
        ),
        ({"model_role": "not_registered", "gate_reasons": "limited"}, "not registered: limited"),
        ({}, "not registered"),
    ],
)
def test_what_became_of_the_model(client, run, tags, said):
    client.log_batch(run, tags=tags_of(tags))
    assert said in conclude(client, run, PLACES)[5]
    assert said in client.get_run(run).data.tags[NOTE_TAG].splitlines()[0]


def test_filters_of_the_links_find_parents_and_children(client, run):
    """What stands in the links is what MLflow understands, and it finds the right runs."""
    child = client.create_run("1", tags={"mlflow.parentRunId": run, "run_level": "store"})
    summary = Summary.of(client, run, PLACES)
    note = summary.markdown()

    def found(url):
        fragment = urlsplit(url).fragment
        condition = parse_qs(urlsplit(fragment).query)["searchFilter"][0]
        return [one.info.run_id for one in client.search_runs(["1"], condition)]

    assert found(summary.parents_url()) == [run]
    links = [part.split(")")[0] for part in note.split("](")[1:]]
    assert found(links[1]) == [child.info.run_id]
    assert all(link.startswith("http://127.0.0.1:5000/#/experiments/1/runs") for link in links)


def test_a_server_has_its_own_ui(client, run):
    lines = conclude(client, run, Places("r.html", "https://mlflow.example", ""))
    assert lines[7].startswith("This run: https://mlflow.example/#/experiments/1/runs/")
    assert "after" not in lines[7]


def test_ui_of_a_database_with_a_password_is_started_by_our_own_command():
    """kedro-mlflow's would hand the address on as an argument, for `ps` to show."""
    for uri in ("postgresql://me:pw@host/db", "mysql://host/db?password=pw"):
        assert ui_command(uri, {}) == "kedro explore --serve"
        elsewhere = {"host": "localhost", "port": 5002}
        assert ui_command(uri, elsewhere) == "kedro explore --serve --host=localhost --port=5002"
        server = {"mlflow_tracking_uri": uri}
        said = places({"server": server, "ui": elsewhere}, {"data_root": "data"})
        assert said.ui == "http://localhost:5002"
        assert said.starts_ui == ui_command(uri, elsewhere)


@pytest.mark.parametrize("uri", ["sqlite:////home/me@work/a.db?timeout=9", "postgresql:///db"])
def test_ui_of_other_stores_is_started_as_kedro_mlflow_does(uri):
    assert ui_command(uri, {"port": "5002"}) == "kedro mlflow ui"
