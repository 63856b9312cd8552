"""The report: one file, nothing from outside, every value escaped, totals that add up."""

import json
import re
from dataclasses import replace
from importlib.resources import files

import pandas as pd
import pytest
from report_page import ENGLISH, RUN, SETTINGS, Elements

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.synthetic_run import HOSTILE
from lifemiles_forecasting.report import analysis, payload
from lifemiles_forecasting.report.analysis import MAX_FAILURES, MAX_WARNINGS
from lifemiles_forecasting.report.html import SCRIPTS, render_report
from lifemiles_forecasting.report.texts import TEXTS


def test_page_asks_nothing_from_outside(page):
    elements = Elements(page)
    for tag, attrs in elements.tags:
        assert tag not in ("link", "img", "iframe", "object"), (tag, attrs)
        assert not attrs.get("src"), (tag, attrs)
        assert attrs.get("href", "#").startswith("#"), (tag, attrs)
    policy = dict(elements.tags)["meta"]  # the last meta element
    assert "default-src 'none'" in policy["content"]


def test_plotly_is_there_once_and_carries_the_nonce(page):
    assert len(re.findall(r"plotly\.js v\d", page)) == 1
    assert len(page.encode()) < 5_500_000
    nonce = re.search("'nonce-([0-9a-f]{32})'", page).group(1)
    run = [attrs for tag, attrs in Elements(page).tags if tag == "script" and "type" not in attrs]
    assert [attrs["nonce"] for attrs in run] == [nonce] * (1 + len(SCRIPTS))


def test_hostile_names_stay_text(content, page):
    assert HOSTILE not in page
    handlers = [attrs for _, attrs in Elements(page).tags if any(k.startswith("on") for k in attrs)]
    assert handlers == []
    data = json.loads(Elements(page).scripts["data"])
    assert [row for row in data["rows"] if row[2] == HOSTILE]  # unharmed, for textContent
    assert HOSTILE not in json.dumps(data["figures"])  # escaped, for Plotly


def test_hostile_ledger_stays_text(content):
    failures = pd.DataFrame([(HOSTILE, HOSTILE, "</script><script>", "x")], columns=c.FAILURES)
    balance = {**content.row_balance, "quarantined_by_reason": {HOSTILE: 3}}
    run = {"run_id": HOSTILE, "run_name": HOSTILE}
    configuration = {"target": "billings", HOSTILE: HOSTILE}
    page = render_report(
        replace(
            content,
            failures=failures,
            row_balance=balance,
            run=run,
            configuration=configuration,
        ),
        SETTINGS,
    )
    assert HOSTILE not in page
    assert len([1 for tag, _ in Elements(page).tags if tag == "script"]) == 3 + len(SCRIPTS)
    assert HOSTILE in Elements(page).text


def test_totals_are_sums_of_the_stores(content, page):
    total = content.frames.forecasts[c.FORECAST].sum()
    assert f"{total:,.0f}".replace(",", ".") in page
    data = json.loads(Elements(page).scripts["data"])
    cells = sum(sum(cell["forecast"]) for cell in data["totals"]["cells"])
    assert cells == pytest.approx(total, rel=1e-5)
    assert sum(sum(row[-1]) for row in data["rows"]) == pytest.approx(total, rel=1e-4)


def test_change_is_against_the_same_days_some_weeks_before(content, page):
    frames = content.frames
    recent = frames.panel[frames.panel[c.DATE] > frames.panel[c.DATE].max() - pd.Timedelta("28D")]
    change = 100 * (frames.forecasts[c.FORECAST].sum() / recent[c.Y].sum() - 1)
    text = f"{change:+.1f}\xa0%".replace(".", ",").replace("-", "−")
    assert f"{text} frente a los mismos días de 4 semanas antes" in Elements(page).text.replace(
        " %", "\xa0%"
    )


def test_languages_say_the_same(content, page):
    english = render_report(content, ENGLISH)
    assert '<html lang="es">' in page and '<html lang="en">' in english
    for spanish_words, english_words in (
        ("Pronóstico por tienda", "Forecast by store"),
        ("historia corta", "short history"),
        ("Cuadra", "Balanced"),
    ):
        assert spanish_words in page
        assert english_words in english
        assert spanish_words not in english


def test_page_names_its_run_and_settings(page):
    text = Elements(page).text
    assert RUN["run_id"] in text
    assert RUN["run_name"] in text
    assert "reporting.language" in text


def test_untracked_run_says_so(content):
    page = render_report(replace(content, run={}), SETTINGS)
    assert "Sin seguimiento" in page


def test_unbalanced_rows_are_shown(content):
    balance = {**content.row_balance, "rows_used": 1, "quarantined_by_reason": {}}
    page = render_report(replace(content, row_balance=balance), SETTINGS)
    assert "No cuadra" in page
    assert "Ninguna fila está en cuarentena" in page


def test_no_failures_and_too_many(content):
    none = render_report(replace(content, failures=content.failures.iloc[:0]), SETTINGS)
    assert "Ninguna tienda falló" in none
    many = pd.concat([content.failures] * (MAX_FAILURES + 1), ignore_index=True)
    page = render_report(replace(content, failures=many), SETTINGS)
    assert f"Se muestran {MAX_FAILURES} de {MAX_FAILURES + 1}" in page


def test_warnings_are_told_in_the_language_of_the_page(content, page):
    assert "Advertencias (2)" in page
    spanish, english = Elements(page).text, Elements(render_report(content, ENGLISH)).text
    assert "Atlantis feriados país desconocido: sus tiendas van sin feriados 3" in spanish
    assert "Atlantis holidays unknown country: its stores have no holidays 3" in english
    assert f"{HOSTILE} events partner of an event that is not in the data 0" in english


def test_no_warnings_and_too_many(content):
    none = render_report(replace(content, warnings=content.warnings.iloc[:0]), SETTINGS)
    assert "Sin advertencias" in none
    many = pd.concat([content.warnings] * MAX_WARNINGS, ignore_index=True)
    page = render_report(replace(content, warnings=many), SETTINGS)
    assert f"Se muestran {MAX_WARNINGS} de {2 * MAX_WARNINGS}" in page


def test_weights_of_every_attempted_store_are_in_the_page(content, page):
    data = json.loads(Elements(page).scripts["data"])
    names = data["weights"]["candidates"]
    by_id = content.table.set_index("store_id")
    assert set(names) == {"base", "direct", "local_catboost", "ridge"}
    mean = [by_id[f"weight_{name}"].mean() for name in names]
    assert mean == sorted(mean, reverse=True)
    for row, weights in zip(data["rows"], data["weights"]["rows"], strict=True):
        store = by_id.loc[row[0]]
        assert (weights is not None) == store["attempted"]
        if weights:
            expected = [store[f"weight_{name}"] for name in names]
            assert weights == pytest.approx(expected, abs=5e-4)


def test_candidates_are_whatever_the_run_has(content):
    """A candidate that no text knows goes by its own name."""
    table = content.table.rename(columns={"weight_ridge": "weight_my_model"})
    table["champion"] = table["champion"].replace("direct", "my_model")
    page = render_report(replace(content, table=table), SETTINGS)
    elements = Elements(page)
    assert "my_model" in json.loads(elements.scripts["data"])["weights"]["candidates"]
    assert "my model" in elements.text


def test_weights_are_bounded_and_the_rest_is_told(content, monkeypatch):
    monkeypatch.setattr(payload, "MAX_WEIGHTS", 3)
    monkeypatch.setattr(analysis, "MAX_WEIGHTS", 3)
    page = render_report(content, SETTINGS)
    assert len(json.loads(Elements(page).scripts["data"])["weights"]["rows"]) == 3
    assert "Pesos de los candidatos: Se muestran 3 de 10" in page


def test_series_are_bounded_and_the_rest_is_told(content, monkeypatch):
    monkeypatch.setattr(payload, "MAX_SERIES_VALUES", 3 * (150 + 4 * 28))
    series = json.loads(Elements(render_report(content, SETTINGS)).scripts["series"])
    assert len(series["stores"]) == 3


def test_stores_are_bounded_and_the_totals_are_not(content, monkeypatch):
    monkeypatch.setattr(payload, "MAX_LISTED_VALUES", 5 * 3 * 28 + 1)
    page = render_report(content, SETTINGS)
    data = json.loads(Elements(page).scripts["data"])
    assert (len(data["rows"]), data["stores"]) == (5, 12)
    assert "Este archivo detalla 5 tiendas de 12: las de mayor pronóstico y" in Elements(page).text
    total = content.frames.forecasts[c.FORECAST].sum()
    cells = sum(sum(cell["forecast"]) for cell in data["totals"]["cells"])
    assert cells == pytest.approx(total, rel=1e-5)
    moved = moves(content)
    largest = content.table.nlargest(12, "forecast_total")[c.STORE_ID]
    expected = [moved.idxmax(), moved.idxmin()]  # a quarter of the room for each kind
    expected += [store for store in largest if store not in expected][:3]
    assert {row[0] for row in data["rows"]} == set(expected)
    assert data["movers"] == {"up": int((moved > 0).sum()), "down": int((moved < 0).sum())}
    assert f"{(moved > 0).sum()} suben y {(moved < 0).sum()} bajan" in Elements(page).text


def moves(content):
    """How much more is forecast for each store than it sold four weeks before, by hand."""
    panel, ahead = content.frames.panel, content.frames.forecasts
    days = ahead[c.DATE].unique() - pd.Timedelta(days=28)
    sold = panel[panel[c.DATE].isin(days)].groupby(c.STORE_ID)[c.Y].sum()
    return ahead.groupby(c.STORE_ID)[c.FORECAST].sum().sub(sold, fill_value=0.0)


@pytest.mark.parametrize(("language", "words"), [("es", "1 semana antes"), ("en", "1 week before")])
def test_a_week_is_one_and_a_day_too(content, language, words):
    forecasts = content.frames.forecasts
    first = forecasts[forecasts[c.HORIZON] == 1]
    frames = replace(content.frames, forecasts=first)
    text = Elements(
        render_report(replace(content, frames=frames), {"es": SETTINGS, "en": ENGLISH}[language])
    ).text
    assert words in text
    assert "1 semanas" not in text
    assert "1 weeks" not in text
    assert {"es": "Próximo día: del", "en": "Next day: "}[language] in text


def test_nothing_sold_before_is_told_from_no_data(content):
    frames = content.frames
    panel = frames.panel.assign(**{c.Y: 0.0})
    text = Elements(
        render_report(replace(content, frames=replace(frames, panel=panel)), ENGLISH)
    ).text
    assert "nothing sold on the same days 4 weeks before" in text
    assert "no data of" not in text


def test_bias_that_was_not_measured_is_not_called_even(content):
    metrics = {**content.metrics, "bias": float("nan")}
    assert (
        "no drift" not in Elements(render_report(replace(content, metrics=metrics), ENGLISH)).text
    )
    metrics["bias"] = 0.0
    assert "no drift" in Elements(render_report(replace(content, metrics=metrics), ENGLISH)).text


def test_every_text_is_used():
    sources = files("lifemiles_forecasting.report")
    texts = [
        path.read_text(encoding="utf-8")
        for path in sources.iterdir()
        if path.is_file() and path.suffix in (".py", ".html") and not path.name.startswith("texts_")
    ]
    texts += [path.read_text(encoding="utf-8") for path in (sources / "scripts").iterdir()]
    source = "\n".join(texts)
    kinds = (
        "candidate",
        "status",
        "class",
        "verdict",
        "group",
        "stage",
        "warning",
        "gate",
        "cause",
        "reason",
        "weekday",
        "target",
        "unit",
        "coverage",
        "band",
    )
    own = [key for key in TEXTS["es"] if key.partition("_")[0] not in kinds]
    assert [key for key in own if not re.search(rf"\b{key}\b", source)] == []


def test_same_content_gives_the_same_page(content, page):
    assert render_report(content, SETTINGS) == page


def test_inputs_are_not_modified(content):
    copies = {name: getattr(content.frames, name).copy() for name in content.frames.names()}
    table = content.table.copy()
    render_report(content, SETTINGS)
    for name, copy in copies.items():
        pd.testing.assert_frame_equal(getattr(content.frames, name), copy)
    pd.testing.assert_frame_equal(content.table, table)
