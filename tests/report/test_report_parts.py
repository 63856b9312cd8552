"""What the report says of intervals, of the model in charge, of errors and of the data."""

import json
import math
import re
from dataclasses import replace

import pandas as pd
import pytest
from report_page import ENGLISH, SETTINGS, Elements

from lifemiles_forecasting.core import breakdown, gaps, store_codes
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.synthetic_run import HOSTILE
from lifemiles_forecasting.core.tasks import LOCAL_STAGE, POOLED_STAGE
from lifemiles_forecasting.core.transactions import REASONS
from lifemiles_forecasting.report import analysis
from lifemiles_forecasting.report.analysis import MAX_COVERAGE
from lifemiles_forecasting.report.html import render_report
from lifemiles_forecasting.report.texts import TEXTS


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
    assert alert < page.index('id="summary"')
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


def verdict_of(content, **changes):
    verdict = {**content.verdict, **changes}
    page = render_report(replace(content, verdict=verdict), SETTINGS)
    return re.search(r'id="verdict" class="verdict (\w*)">([^<]*)<', page).groups()


def test_verdict_says_why_the_model_is_not_in_charge(content, page):
    assert "Este modelo no queda a cargo: sesgo de −12,3 %; se admite hasta 10 %." in page
    english = render_report(content, ENGLISH)
    assert "This model is not in charge: bias of −12.3 %; up to 10 % is accepted." in english


def test_verdict_says_that_the_model_is_in_charge_and_against_which(content):
    passed = {"status": "passed", "reasons": [], "findings": []}
    kind, alone = verdict_of(content, **passed, champion="")
    assert (kind, alone.partition(":")[0]) == ("good", "Modelo a cargo")
    kind, better = verdict_of(content, **passed, wape=30.25, champion_wape=31.5)
    assert kind == "good"
    assert "Error (WAPE) 30,25 %, el anterior 31,5 %" in better


def test_verdict_on_another_run_is_not_told(content):
    none = ("", "No se evaluó si este modelo queda a cargo.")
    assert verdict_of(content, judged_wape=content.metrics["wape"] + 1e-9) == none
    page = render_report(replace(content, verdict=None), SETTINGS)
    assert none[1] in page


def test_verdict_on_a_window_without_sales_is_told(content):
    """Its WAPE is no number, which the file of the verdict has as null."""
    nothing = replace(content, metrics={**content.metrics, "wape": math.nan})
    kind, text = verdict_of(nothing, judged_wape=None)
    assert (kind, text.partition(":")[0]) == ("bad", "Este modelo no queda a cargo")
    assert verdict_of(content, judged_wape=None)[0] == ""


def test_finding_that_has_no_words_is_told_as_the_gate_wrote_it(content):
    reasons = {"reasons": [HOSTILE], "findings": [{"code": "novel", "figures": {}}]}
    page = render_report(replace(content, verdict={**content.verdict, **reasons}), SETTINGS)
    assert HOSTILE not in page
    assert f"Este modelo no queda a cargo: {HOSTILE}." in Elements(page).text


def test_worst_stores_have_their_reasons_in_words(content, page):
    text = Elements(page).text
    worst = breakdown.worst_stores(content.table, content.frames, analysis.MAX_WORST)
    assert len(worst) == 10
    for row in worst.itertuples():
        words = "; ".join(TEXTS["es"][f"cause_{code}"] for code in row.reasons)
        assert words in text
    assert "su modelo falló" in text


def test_largest_weight_is_not_called_the_best_forecast(content, page):
    largest = content.table["champion"].value_counts()
    for text, words in (
        (page, "Mayor peso en"),
        (render_report(content, ENGLISH), "Largest weight in"),
    ):
        assert f">{words}</th>" in text
        assert f'</td><td class="n">{largest["direct"]}</td></tr>' in text
        assert "mejor candidato" not in text.lower() and "best candidate" not in text.lower()


def test_gaps_and_dormant_stores_are_listed(content):
    frames = content.frames
    store = frames.stores[c.STORE_ID][6]
    days = frames.panel[c.DATE].between("2017-11-03", "2017-11-20")
    quiet = days & (frames.panel[c.STORE_ID] == store)
    panel = frames.panel.assign(**{c.TRANSACTIONS: frames.panel[c.TRANSACTIONS].mask(quiet, 0)})
    page = render_report(replace(content, frames=replace(frames, panel=panel)), SETTINGS)
    text = Elements(page).text
    shown = re.search(rf"{re.escape(store)} (\S+)–(\S+) (\d+) ", text)
    (longest,) = [
        row for row in gaps.store_gaps(panel, frames.stores).itertuples() if row.store_id == store
    ]
    assert int(shown.group(3)) == longest.days >= 18
    assert shown.group(1) == longest.first.strftime("%d/%m/%Y")
    assert "Tiendas inactivas (1)" in text


def test_rows_after_the_as_of_date_do_not_spoil_the_balance(content):
    balance = {**content.row_balance, "rows_after_as_of": 22_024}
    page = render_report(replace(content, row_balance=balance), SETTINGS)
    text = Elements(page).text
    assert "Cuadra" in text
    assert "No cuadra" not in text


def test_every_date_is_written_as_the_language_does(content, page):
    days = content.frames.panel[c.DATE]
    iso, spanish = r"\d{4}-\d\d-\d\d", r"\d\d/\d\d/\d{4}"
    for text, written, other in (
        (page, "%d/%m/%Y", iso),
        (render_report(content, ENGLISH), "%Y-%m-%d", spanish),
    ):
        words = Elements(text).text
        first, last = (day.strftime(written) for day in (days.min(), days.max()))
        assert re.search(rf"\w+ \w+ {first} \w+ \w+ {last} ", words)
        assert not re.search(other, words)


def test_run_without_learners_has_no_importance(content):
    page = render_report(replace(content, importance=content.importance.iloc[:0]), SETTINGS)
    assert "Ningún modelo de la ejecución aprende de variables" in page
    assert "importance" not in json.loads(Elements(page).scripts["data"])["figures"]


def test_every_reason_and_stage_has_words_in_both_languages():
    stages = (LOCAL_STAGE, POOLED_STAGE, "holidays", "events", "weights", "panel")
    needed = {f"reason_{reason}" for reason in REASONS} | {f"stage_{stage}" for stage in stages}
    needed |= {f"warning_{code}" for code in (store_codes.WITHOUT_ROWS, store_codes.TWO_FORMS)}
    for texts in TEXTS.values():
        assert needed <= set(texts)
