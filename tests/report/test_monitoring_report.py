"""The monitoring report: one file, nothing from outside, every value escaped, both languages."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.drift import TOO_FEW, find_drift
from lifemiles_forecasting.core.intervals import NAMES
from lifemiles_forecasting.core.monitoring import (
    Actuals,
    accuracy_table,
    daily_totals,
    join_actuals,
    run_metrics,
)
from lifemiles_forecasting.core.synthetic_run import HOSTILE, synthetic_run
from lifemiles_forecasting.report import monitoring
from lifemiles_forecasting.report.monitoring import MonitoringContent, render_monitoring

SOLD_MORE = 5  # the store whose sales tripled


@pytest.fixture(scope="module")
def content():
    """A made-up run whose forecasts have come true, but for one store."""
    frames = synthetic_run(12)
    future = frames.forecasts[[c.STORE_ID, c.DATE, c.FORECAST]].rename(columns={c.FORECAST: c.Y})
    grown = future[c.STORE_ID] == frames.stores[c.STORE_ID][SOLD_MORE]
    future[c.Y] *= np.where(grown, 3.0, 1.02)
    panel = pd.concat([frames.panel[[c.STORE_ID, c.DATE, c.Y]], future])
    origin = frames.forecasts[c.DATE].min() - pd.Timedelta(days=1)
    past = frames.forecasts.assign(run_id="r", trains=True, **{c.ORIGIN: origin})
    tested = join_actuals(past, Actuals.of(panel, 28))
    windows = pd.to_datetime(["2017-11-01", "2017-10-01", "2017-09-01"])
    errors = pd.DataFrame(
        [(s, w, 28, 0.4, 0.1) for s in frames.stores[c.STORE_ID] for w in windows],
        columns=list(c.ERRORS),
    )
    return MonitoringContent(
        totals=daily_totals(tested),
        accuracy=accuracy_table(tested),
        drift=find_drift(tested, errors, 99.0),
        metrics=run_metrics(tested),
        stores=frames.stores,
        past_runs={"runs": 1, "left_out": 0, "cut": False, "stand_ins": False},
        target="billings",
        run={"run_id": "0af7651916cd43dd", "run_name": "Monitoring_20180128_221500"},
    )


@pytest.fixture(scope="module")
def page(content):
    return render_monitoring(content, "es")


class Page(HTMLParser):
    """Start tags with attributes, the cells of each table, the text, the scripts by id."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self.scripts, self.tables = [], [], {}, {}
        self._script = self._table = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._script = dict(attrs).get("id", "") if tag in ("script", "style") else None
        if tag == "table":
            self._table = self.tables.setdefault(dict(attrs).get("id"), [])
        if tag == "tr" and self._table is not None:
            self._table.append([])
        if tag in ("td", "th") and self._table:
            self._table[-1].append("")

    def handle_endtag(self, tag):
        self._script = None
        if tag == "table":
            self._table = None

    def handle_data(self, text):
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + text
            return
        self.words.append(text)
        if self._table and self._table[-1]:
            self._table[-1][-1] += text.replace("\xa0", " ")

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def test_page_asks_nothing_from_outside(page):
    elements = Page(page)
    for tag, attrs in elements.tags:
        assert tag not in ("link", "img", "iframe", "object"), (tag, attrs)
        assert not attrs.get("src"), (tag, attrs)
        assert attrs.get("href", "#").startswith("#"), (tag, attrs)
    policy = dict(elements.tags)["meta"]["content"]
    assert "default-src 'none'" in policy
    nonce = re.search("'nonce-([0-9a-f]{32})'", policy).group(1)
    run = [attrs for tag, attrs in elements.tags if tag == "script" and "type" not in attrs]
    assert [attrs["nonce"] for attrs in run] == [nonce] * 2
    assert len(re.findall(r"plotly\.js v\d", page)) == 1


def test_store_that_changed_comes_first_with_its_reasons(content, page):
    header, *rows = Page(page).tables["drift-table"]
    line = content.drift.iloc[0]
    assert line[c.STORE_ID] == content.stores[c.STORE_ID][SOLD_MORE]
    assert rows[0][0].startswith(line[c.STORE_ID] + "Tienda 0005")
    assert rows[0][1:3] == [
        "reentrenar",
        "error sobre el límite de todas las tiendas; vende más de lo pronosticado",
    ]
    assert len(header) == len(rows[0])
    english = Page(render_monitoring(content, "en"))
    assert "sells more than forecast" in english.tables["drift-table"][1][2]
    assert "Forecast against actual" in english.text


def test_reasons_of_a_store_with_a_backtest_of_its_own(content):
    drift = content.drift.copy()
    drift.loc[0, ["error", "error_before", "error_limit"]] = [2.1, 1.0, 1.5]
    drift.loc[0, ["shift", "shift_limit", "retrain"]] = [-0.9, 0.5, True]
    page = Page(render_monitoring(replace(content, drift=drift), "es"))
    assert page.tables["drift-table"][1][1:3] == [
        "reentrenar",
        "error 2,1 veces el de su prueba retrospectiva; vende menos de lo pronosticado",
    ]


def test_tables_say_what_the_accuracy_says(content, page):
    tables = Page(page).tables
    for name, group in (("weeks-table", "horizon_week"), ("partners-table", "partner")):
        expected = content.accuracy[content.accuracy[c.GROUP] == group]
        rows = tables[name][1:]
        assert [row[0] for row in rows] == expected[c.VALUE].tolist()
        wape = [f"{value:.1f} %".replace(".", ",") for value in expected["wape"]]
        assert [row[2] for row in rows] == wape


def test_chart_holds_the_totals(content, page):
    figure = json.loads(Page(page).scripts["figure"])
    real = next(trace for trace in figure["data"] if trace["name"] == "Real")
    assert real["y"] == content.totals[c.Y].round(2).tolist()
    assert len(figure["data"]) == 6  # two bands of two lines each, forecast and actual


def axis_labels(chart, axis):
    """The labels of a chart's axis in a browser."""
    return chart.locator(f".{axis}tick text").all_text_contents()


def test_axes_are_written_as_people_read_them(content, browser, tmp_path):
    """A milliard is no billón, and two days are two days."""
    totals = content.totals.head(2)
    totals = totals.assign(**dict.fromkeys((c.Y, c.FORECAST, *NAMES), 2e9))
    path = tmp_path / "monitoring.html"
    path.write_text(render_monitoring(replace(content, totals=totals), "es"), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    chart = page.locator("#chart-total")
    chart.locator(".xtick").first.wait_for()
    days = totals[c.DATE].dt.strftime("%d/%m/%y").tolist()
    assert axis_labels(chart, "x") == days
    assert "2.000.000.000" in axis_labels(chart, "y")
    page.close()


def test_hostile_names_stay_text(content):
    accuracy = content.accuracy.copy()
    accuracy.loc[accuracy[c.GROUP] == "partner", c.VALUE] = HOSTILE
    drift = content.drift.assign(**{c.STORE_ID: content.stores[c.STORE_ID][3], "drifted": True})
    changed = {"accuracy": accuracy, "drift": drift, "run": {"run_name": HOSTILE}}
    page = render_monitoring(replace(content, **changed), "es")
    assert HOSTILE not in page
    assert HOSTILE in Page(page).text
    assert not [a for _, a in Page(page).tags if any(name.startswith("on") for name in a)]


def test_nothing_has_drifted_and_too_much(content, monkeypatch):
    calm = content.drift.assign(drifted=False, retrain=False)
    page = Page(render_monitoring(replace(content, drift=calm), "es"))
    assert "Ninguna de las tiendas evaluadas se desvió" in page.text
    unknown = calm.assign(status=TOO_FEW)
    page = Page(render_monitoring(replace(content, drift=unknown), "es"))
    assert "evaluadas se desvió." not in page.text
    assert "Todavía no se pudo evaluar ninguna tienda: hacen falta 7 días" in page.text
    monkeypatch.setattr(monitoring, "MAX_STORES", 2)
    monkeypatch.setattr(monitoring, "MAX_PARTNERS", 1)
    page = Page(render_monitoring(replace(content, drift=content.drift.assign(drifted=True)), "es"))
    assert len(page.tables["drift-table"]) == len(page.tables["partners-table"]) + 1 == 3
    assert "Se muestran 2 de 12" in page.text
    assert "Se muestran 1 de 4" in page.text


def test_only_the_stores_that_are_asked_for_are_labelled(content):
    stores = content.stores.assign(**{c.CITY: None})
    asked = pd.Series([*stores[c.STORE_ID][[4, 5]], "gone"])
    assert monitoring.labels(stores, asked) == dict(
        zip(asked[:2], ["Tienda 0004", "Tienda 0005"], strict=True)
    )
    assert monitoring.labels(content.stores, asked)[asked[0]] == "Tienda 0004 · Centro"
    assert monitoring.labels(stores, asked[2:]) == {}


def test_what_was_not_read_is_told(content, page):
    assert "max_runs" not in Page(page).text
    assert "a cargo" not in Page(page).text
    past_runs = {"runs": 60, "left_out": 3, "cut": True, "stand_ins": True}
    text = Page(render_monitoring(replace(content, past_runs=past_runs), "en")).text
    assert "older runs that were not looked at (monitoring.max_runs)" in text
    assert "3 runs could not be read" in text
    assert "No model that was in charge has forecast these days" in text


def test_same_content_gives_the_same_page(content, page):
    assert render_monitoring(content, "es") == page
