"""`kedro viz build` of a real run, from a plain file server, read as files and in a browser."""

import functools
import http.server
import inspect
import json
import threading
import warnings

import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project
from kedro.pipeline import Pipeline

from lifemiles_forecasting import cli
from lifemiles_forecasting.cli import full_names, node_names
from lifemiles_forecasting.core.errors import ConfigError

GROUPS = {"data_processing", "modeling", "evaluation", "registration", "reporting", "tracking"}
FIGURES = (
    "quality_distribution",
    "r2_against_smape",
    "actual_against_forecast",
    "partner_totals",
    "candidates",
)
# Kedro-Viz asks for a font of Google's, and for something that its own server alone can answer
KNOWN_TROUBLE = ("https://fonts.googleapis.com/", "/api/metadata", "metadata fetch error")


@pytest.fixture(scope="module")
def site(trained):
    """The folder that `kedro viz build` leaves."""
    done = trained.project.kedro("viz", "build", "--include-previews")
    assert done.returncode == 0, done.stderr
    assert "circular" not in done.stderr
    return trained.project.folder / "build"


@pytest.fixture(scope="module")
def main(site):
    return json.loads((site / "api" / "main").read_text())


@pytest.fixture(scope="module")
def nodes(main):
    return {node["name"]: node for node in main["nodes"]}


@pytest.fixture(scope="module")
def of_node(site, nodes):
    """What Kedro-Viz knows of a node beyond its place."""
    return lambda name: json.loads((site / "api" / "nodes" / nodes[name]["id"]).read_text())


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def page(address, browser):
    """The built site; `page.troubles` is what its console says of errors."""
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.set_default_timeout(20_000)
    page.troubles = []
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.on(
        "console",
        lambda said: (
            said.type == "error" and page.troubles.append(f"{said.text} {said.location['url']}")
        ),
    )
    page.route(lambda url: not url.startswith(address), lambda route: route.abort())
    page.goto(address)
    page.locator(".pipeline-node").first.wait_for()
    yield page
    page.close()


@pytest.fixture(scope="module")
def pipelines():
    configure_project("lifemiles_forecasting")
    from lifemiles_forecasting.pipeline_registry import register_pipelines

    return register_pipelines()


def test_every_pipeline_has_layers_and_every_dataset_is_in_one(site):
    folder = site / "api" / "pipelines"
    assert len(list(folder.iterdir())) >= 8
    for file in folder.iterdir():
        pipeline = json.loads(file.read_text())
        assert pipeline["layers"], file.name  # empty where they go round in a circle
        nodes = [node for node in pipeline["nodes"] if node["type"] == "data"]
        assert [node["name"] for node in nodes if not node["layer"]] == [], file.name


def test_layers_of_a_run_go_from_raw_files_to_the_report(main):
    order = ["raw", "intermediate", "primary", "models", "model_output", "reporting", "tracking"]
    assert [layer for layer in main["layers"] if layer != "earlier_runs"] == order


def test_every_node_of_a_run_is_in_a_group(main):
    assert set(main["modular_pipelines"]) - {"__root__"} == GROUPS
    tasks = [node for node in main["nodes"] if node["type"] == "task"]
    assert len(tasks) >= 15
    assert {next(iter(node["modular_pipelines"])) for node in tasks} == GROUPS


def test_groups_leave_datasets_their_names(pipelines):
    names = {name for name in pipelines["__default__"].datasets() if "params:" not in name}
    assert [name for name in names if "." in name] == []
    assert {"panel", "forecasts", "store_metrics", "report"} <= names


def test_no_group_is_left_and_entered_again(pipelines):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pipeline in pipelines.values():
            assert Pipeline(pipeline.nodes).nodes == pipeline.nodes


def test_every_node_says_what_its_function_says(pipelines, main, of_node):
    described = {node.name: inspect.getdoc(node.func) for node in pipelines["__default__"].nodes}
    tasks = {node["name"] for node in main["nodes"] if node["type"] == "task"}
    assert tasks == {name.rpartition(".")[2] for name in described}
    for name, text in described.items():
        assert of_node(name.rpartition(".")[2])["preview"]["content"] == text


@pytest.mark.parametrize("name", ["forecasts", "panel", "store_metrics"])
def test_main_tables_are_previewed(name, trained, of_node):
    file = {
        "forecasts": "07_model_output/forecasts.parquet",
        "panel": "03_primary/panel.parquet",
        "store_metrics": "08_reporting/store_metrics.csv",
    }[name]
    expected, shown = trained.frame(file).head(28), of_node(name)
    assert shown["preview_type"] == "TablePreview"
    assert shown["preview"]["columns"] == list(expected.columns)
    rows = pd.DataFrame(shown["preview"]["data"], columns=expected.columns)
    assert rows["store_id"].tolist() == expected["store_id"].tolist()
    number = {"forecasts": "forecast", "panel": "y", "store_metrics": "mae"}[name]
    number = number if number in expected else "test_mae"
    pd.testing.assert_series_equal(
        rows[number].astype(float), expected[number].reset_index(drop=True), check_names=False
    )


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_previewed(name, trained, of_node):
    shown = of_node(f"figure_{name}")
    assert shown["preview_type"] == "PlotlyPreview"
    saved = json.loads(trained.project.output(f"08_reporting/{name}.json").read_text())
    assert shown["preview"] == saved


def test_raw_rows_are_not_shown(of_node):
    assert of_node("quarantine").get("preview") is None


def test_nodes_may_be_named_without_their_group(pipelines):
    known = {node.name for node in pipelines["__default__"].nodes}
    assert full_names(["build_study", "reporting.draw_figures"], known) == [
        "modeling.build_study",
        "reporting.draw_figures",
    ]


def test_ConfigError_names_the_nearest_node(pipelines):
    known = {node.name for node in pipelines["__default__"].nodes}
    with pytest.raises(ConfigError, match=r"no node 'build_stdy'.*mean modeling\.build_study\?"):
        full_names(["build_stdy"], known)
    with pytest.raises(ConfigError, match=r"no node 'xyz'.*`kedro viz run` shows them"):
        full_names(["xyz"], known)
    both = {"reporting.build_report", "monitoring.build_report"}
    with pytest.raises(ConfigError, match=r"2 nodes 'build_report'.* or reporting\.build_report"):
        full_names(["build_report"], both)


def test_known_nodes_are_those_of_the_pipelines_that_are_run(pipelines):
    assert node_names(["leak_audit"]) == {"leak_audit.audit_leaks", "leak_audit.refuse_leaks"}


def test_kedro_run_takes_nodes_without_their_group(pipelines, monkeypatch):
    asked = {}
    monkeypatch.setattr(cli.kedro_run, "callback", lambda **options: asked.update(options))
    options = ("--from-nodes=draw_figures", "--to-nodes=reporting.draw_figures,build_report")
    done = CliRunner().invoke(cli.cli, ["run", *options])
    assert done.exit_code == 0, done.output
    assert asked["from_nodes"] == ["reporting.draw_figures"]
    assert asked["to_nodes"] == ["reporting.draw_figures", "reporting.build_report"]
    assert asked["node_names"] == []


def test_groups_and_layers_are_in_the_browser(page, main):
    names = page.locator(".pipeline-node--modularPipeline").evaluate_all(
        "groups => groups.map(group => group.dataset.nodeFullname)"
    )
    assert set(names) == GROUPS
    layers = page.locator(".pipeline-layer__name, .pipeline-layer-name").all_inner_texts()
    assert {"raw", "primary", "models", "model_output", "reporting", "tracking"} <= set(layers)
    assert [layer for layer in main["layers"] if layer in layers] == layers


def test_tables_figures_and_descriptions_are_in_the_browser(page, address, trained):
    page.goto(f"{address}?pid=__default__&expandAllPipelines=true")
    page.locator("[data-node-fullname=forecasts]").first.dispatch_event("click")
    table = page.locator(".pipeline-metadata table").first
    table.wait_for()
    first = trained.frame("07_model_output/forecasts.csv").iloc[0]
    assert first["store_id"] in table.inner_text()
    page.locator("[data-node-fullname=figure_candidates]").first.dispatch_event("click")
    page.locator(".pipeline-metadata .js-plotly-plot svg").first.wait_for()
    page.locator("[data-node-fullname=build_study]").first.dispatch_event("click")
    text = page.locator(".pipeline-text-renderer__content").inner_text()
    assert text.startswith("Choose the stores of this run and build their training rows.")


def test_the_browser_has_nothing_to_complain_about(page):
    ours = [said for said in page.troubles if not any(known in said for known in KNOWN_TROUBLE)]
    assert ours == []
