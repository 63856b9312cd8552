"""The report: one file, nothing from outside, every value escaped, totals that add up."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import coverage
from lifemiles_forecasting.core.config import QualityTier, ReportSettings
from lifemiles_forecasting.core.quality import aggregate, store_metrics
from lifemiles_forecasting.core.synthetic_run import (
    HOSTILE,
    synthetic_balance,
    synthetic_failures,
    synthetic_run,
    synthetic_warnings,
)
from lifemiles_forecasting.report import html, payload
from lifemiles_forecasting.report.html import (
    MAX_COVERAGE,
    MAX_FAILURES,
    MAX_WARNINGS,
    ReportContent,
    render_report,
)

SETTINGS = ReportSettings(
    tiers={
        "EXCELENTE": QualityTier(min_r2=0.8, max_smape=10),
        "BUENO": QualityTier(min_r2=0.6, max_smape=20),
        "REGULAR": QualityTier(min_r2=0.4, max_smape=30),
    },
    metrics=("mae",),
)
ENGLISH = SETTINGS.model_copy(update={"language": "en"})
RUN = {"run_id": "0af7651916cd43dd", "run_name": "Training_Pipeline_20171231_221500"}


def content_of(frames, failures=None):
    table = store_metrics(frames, SETTINGS)
    return ReportContent(
        frames=frames,
        table=table,
        metrics=aggregate(table, frames, SETTINGS, 1.0),
        coverage=coverage.coverage_table(frames, SETTINGS),
        failures=synthetic_failures(frames) if failures is None else failures,
        row_balance=synthetic_balance(frames),
        configuration={"target": "billings", "reporting": {"language": "es"}},
        run=RUN,
        warnings=synthetic_warnings(),
    )


@pytest.fixture(scope="module")
def content():
    return content_of(synthetic_run(12))


@pytest.fixture(scope="module")
def page(content):
    return render_report(content, SETTINGS)


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text of the page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self.scripts, self._script = [], [], {}, None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._script = dict(attrs).get("id", "") if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self._script = None

    def handle_data(self, text):
        if self._script is None:
            self.words.append(text)
        else:
            self.scripts[self._script] = self.scripts.get(self._script, "") + text

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


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
    assert [attrs["nonce"] for attrs in run] == [nonce] * 2


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
    assert len([1 for tag, _ in Elements(page).tags if tag == "script"]) == 4
    assert HOSTILE in Elements(page).text


def test_totals_are_sums_of_the_stores(content, page):
    total = content.frames.forecasts[c.FORECAST].sum()
    assert f"{total:,.0f}".replace(",", ".") in page
    data = json.loads(Elements(page).scripts["data"])
    partners = sum(sum(partner["forecast"]) for partner in data["totals"]["partners"])
    assert partners == pytest.approx(total, abs=1)
    assert sum(row[-1] for row in data["rows"]) == pytest.approx(total, abs=1)


def test_change_is_against_as_many_days_before(content, page):
    frames = content.frames
    recent = frames.panel[frames.panel[c.DATE] > frames.panel[c.DATE].max() - pd.Timedelta("28D")]
    change = 100 * (frames.forecasts[c.FORECAST].sum() / recent[c.Y].sum() - 1)
    text = f"{change:+.1f}\xa0%".replace(".", ",").replace("-", "−")
    assert f"{text} frente a los 28 días anteriores" in Elements(page).text.replace(" %", "\xa0%")


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


def flagged(content, verdict):
    """The same run with another verdict on its intervals as a whole."""
    overall = content.coverage["group"] == "overall"
    table = content.coverage.copy()
    table.loc[overall, ["verdict", "coverage_80_open", "open_points"]] = [verdict, 61.25, 1_234]
    return replace(content, coverage=table)


@pytest.mark.parametrize(
    ("verdict", "spanish", "english"),
    [
        ("too_low", "Intervalos demasiado estrechos", "Intervals too narrow"),
        ("too_high", "Intervalos demasiado anchos", "Intervals too wide"),
    ],
)
def test_intervals_outside_the_band_are_flagged_at_the_top(content, verdict, spanish, english):
    page = render_report(flagged(content, verdict), SETTINGS)
    alert = page.index('role="alert"')
    assert alert < page.index('class="cards"')
    assert f"{spanish}: el de 80 % contuvo el 61,2\xa0% de 1.234 días-tienda" in page
    assert "se esperaba del 75 al 85 %" in page
    assert english in render_report(flagged(content, verdict), ENGLISH)


@pytest.mark.parametrize("verdict", ["ok", "too_few_points"])
def test_intervals_are_not_flagged_without_evidence(content, verdict):
    assert 'role="alert"' not in render_report(flagged(content, verdict), SETTINGS)


def test_coverage_is_shown_by_week_class_and_partner(content, page):
    text = Elements(page).text
    for row in content.coverage.to_dict("records"):
        share = f"{row['coverage_80']:.1f}".replace(".", ",")
        assert f"{row['points']} {share} %" in text.replace("\xa0", " ")
    assert text.count("Semana del horizonte") == 4
    assert "pocos días" in text  # of the partners, in so small a run


def test_hostile_partner_of_the_coverage_stays_text(content):
    table = content.coverage.copy()
    table.loc[table.index[-1], "value"] = HOSTILE
    page = render_report(replace(content, coverage=table), SETTINGS)
    assert HOSTILE not in page
    assert HOSTILE in Elements(page).text


def test_coverage_of_many_partners_is_bounded(content):
    many = pd.concat([content.coverage] * 20, ignore_index=True)
    page = render_report(replace(content, coverage=many), SETTINGS)
    assert f"Se muestran {MAX_COVERAGE} de {len(many)}" in page


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
    monkeypatch.setattr(html, "MAX_WEIGHTS", 3)
    page = render_report(content, SETTINGS)
    assert len(json.loads(Elements(page).scripts["data"])["weights"]["rows"]) == 3
    assert "Pesos de los candidatos: Se muestran 3 de 10" in page


def test_a_limited_run_compares_only_its_own_stores(content):
    kept = content.frames.stores[c.STORE_ID][4:8]
    forecasts = content.frames.forecasts[content.frames.forecasts[c.STORE_ID].isin(kept)]
    page = render_report(
        replace(content, frames=replace(content.frames, forecasts=forecasts)), SETTINGS
    )
    data = json.loads(Elements(page).scripts["data"])
    assert {row[0] for row in data["rows"]} == set(kept)
    panel = content.frames.panel
    expected = panel[panel[c.STORE_ID].isin(kept)][c.Y].sum()
    shown = sum(sum(partner["history"]) for partner in data["totals"]["partners"])
    assert shown == pytest.approx(expected, abs=1)


def test_series_are_bounded_and_the_rest_is_told(content, monkeypatch):
    monkeypatch.setattr(payload, "MAX_SERIES", 3)
    series = json.loads(Elements(render_report(content, SETTINGS)).scripts["series"])
    assert len(series["stores"]) == 3


def test_same_content_gives_the_same_page(content, page):
    assert render_report(content, SETTINGS) == page


def test_inputs_are_not_modified(content):
    copies = {name: getattr(content.frames, name).copy() for name in content.frames.names()}
    table = content.table.copy()
    render_report(content, SETTINGS)
    for name, copy in copies.items():
        pd.testing.assert_frame_equal(getattr(content.frames, name), copy)
    pd.testing.assert_frame_equal(content.table, table)
