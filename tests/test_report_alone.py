"""`kedro run --pipelines=reporting` on what an earlier run has left, and without it."""

import json
import re
import shutil


def verdict_in(report):
    return re.search(r'id="verdict"[^>]*>([^<]*)<', report.read_text(encoding="utf-8")).group(1)


def test_report_is_written_again_from_the_outputs_of_a_run(trained, fresh_project):
    project, before = fresh_project, trained.project.output("08_reporting/report.html")
    for outputs in (trained.project.folder / "data").glob("0[2-8]_*"):
        shutil.copytree(outputs, project.folder / "data" / outputs.name)
    report = project.output("08_reporting/report.html")
    report.unlink()
    result = project.kedro("run", "--env=quick", "--pipelines=reporting")
    assert result.returncode == 0, result.stderr
    gate = json.loads(trained.project.output("08_reporting/gate.json").read_text())
    assert gate["findings"][0] == {"code": "limited", "figures": {"stores": 40}}
    assert "se entrenó solo con las 40 tiendas más grandes" in verdict_in(before)
    assert verdict_in(report) == verdict_in(before)
    figures = re.compile(r'id="card-[^>]*>[^<]*<')
    assert figures.findall(report.read_text()) == figures.findall(before.read_text())
    name = json.loads(trained.project.output("08_reporting/training_run.json").read_text())["run"]
    assert name["run_name"] in report.read_text()
    result = project.kedro("run", "--pipelines=reporting", "--params=target=miles,horizon=14")
    assert result.returncode != 0
    expected = (
        "Error: found an earlier run with target=billings and horizon=28; expected target=miles "
        "and horizon=14, which this run asks for. Ask for the same as that run, or run the "
        "pipelines before this one again"
    )
    assert expected in " ".join(result.stderr.split())
    result = project.kedro(
        "run", "--env=quick", "--pipelines=modeling,reporting", "--params=target=miles"
    )
    assert result.returncode != 0
    assert "found an earlier run with target=billings; expected target=miles" in result.stderr
    assert verdict_in(report) == verdict_in(before)


def test_report_says_what_it_misses_of_a_run(fresh_project):
    result = fresh_project.kedro("run", "--pipelines=reporting")
    assert result.returncode != 0
    expected = (
        "Error: found no attempted and no backtest and no failures and no forecasts and no "
        "importance and no panel and no row_balance and no stores and no test_intervals and no "
        "training_run and no warnings and no weights of an earlier run; expected the files that "
        "`kedro run` leaves. Run `kedro run`, with the same data_root"
    )
    assert expected in " ".join(result.stderr.split())
