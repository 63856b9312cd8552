"""The report in a real browser: Debian's Chromium, driven by Playwright, without a network."""

import csv
import io
import re
import unicodedata
from dataclasses import replace

import pandas as pd
import pytest
from report_page import DRAWN, ENGLISH, SETTINGS, Watch, content_of

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.synthetic_run import HOSTILE, synthetic_run
from lifemiles_forecasting.report import payload
from lifemiles_forecasting.report.html import render_report

NOT_MEASURED = "No medido para esta selección"
FORMULA = '=HYPERLINK("http://example.invalid")'


@pytest.fixture(scope="module")
def content():
    frames = synthetic_run(60)
    stores = frames.stores.copy()
    stores.loc[4, c.STORE_NAME] = FORMULA
    stores.loc[5:7, c.CITY] = "Bogotá"
    stores.loc[8, c.STORE_NAME] = unicodedata.normalize("NFD", "Ñandú Güell")
    return content_of(replace(frames, stores=stores))


@pytest.fixture(scope="module")
def report(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(content, SETTINGS), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def watch(browser):
    watch = Watch(browser)
    yield watch
    watch.close()


@pytest.fixture
def visit(watch):
    """Open a page of its own."""
    yield watch.open
    assert watch.troubles == []


@pytest.fixture(scope="module")
def opened(watch, report):
    return watch.open(report)


@pytest.fixture
def page(opened, watch, report):
    """The report as it is opened at a desk; one page for many tests, back at its start."""
    opened.goto(f"{report}#again")
    opened.wait_for_url(lambda url: url.endswith("#"))
    yield opened
    assert watch.troubles == []


def read(page, selector):
    return page.locator(selector).inner_text()


def numbers(text):
    """The numbers of a text as the page writes them in Spanish."""
    found = re.findall(r"[−+]?\d[\d.]*(?:,\d+)?", text)
    return [
        float(one.replace(".", "").replace(",", ".").replace("−", "-").lstrip("+")) for one in found
    ]


def cells(page, table):
    return [row.split("\t") for row in page.locator(f"{table} tbody tr").all_inner_texts()]


def sums(content, ids, first=0, last=28):
    """Forecast, sales of four weeks before, sales and forecast of the test window."""
    frames = content.frames
    ahead = frames.forecasts[frames.forecasts[c.STORE_ID].isin(ids)]
    days = sorted(ahead[c.DATE].unique())[first:last]
    before = [day - pd.Timedelta(days=28) for day in days]
    past = frames.panel[frames.panel[c.STORE_ID].isin(ids)]
    test = frames.backtest[
        (frames.backtest[c.CANDIDATE] == "blend")
        & (frames.backtest[c.ORIGIN] == frames.backtest[c.ORIGIN].max())
        & frames.backtest[c.STORE_ID].isin(ids)
    ]
    return (
        ahead.loc[ahead[c.DATE].isin(days), c.FORECAST].sum(),
        past.loc[past[c.DATE].isin(before), c.Y].sum(),
        test[c.Y].sum(),
        test[c.Y_HAT].sum(),
    )


def moves(content):
    """How much more is forecast for each store than it sold four weeks before."""
    each = {store: sums(content, [store]) for store in content.frames.stores[c.STORE_ID]}
    return pd.Series({store: ahead - before for store, (ahead, before, *_) in each.items()})


def ids_of(content, **wanted):
    stores = content.frames.stores
    for name, value in wanted.items():
        stores = stores[stores[name] == value]
    return stores[c.STORE_ID].tolist()


def test_scripts_say_what_the_page_says_without_them(visit, report):
    """Two ways to the same figures: Python over the frames, and the scripts over their data."""
    parts = ["#card-next", "#card-change", "#card-stores", "#card-movers", "#card-test"]
    parts += ["#card-test-detail", "#card-wape", "#partner-table"]
    plain = visit(report, scripts=False)
    live = visit(report)
    for part in parts:
        assert read(live, part) == read(plain, part), part
    assert "JavaScript" in read(plain, "p.notice")


def test_partner_and_country_change_every_figure(page, content):
    page.select_option("#partner", "CJFRE")
    page.select_option("#country", "Colombia")
    ids = ids_of(content, partner_code="CJFRE", country="Colombia")
    ahead, before, sold, expected = sums(content, ids)
    assert numbers(read(page, "#card-next")) == pytest.approx([ahead], abs=0.6)
    assert numbers(read(page, "#card-change"))[0] == pytest.approx(
        100 * (ahead / before - 1), abs=0.06
    )
    assert numbers(read(page, "#card-stores")) == [len(ids)]
    assert numbers(read(page, "#card-test")) == pytest.approx(
        [100 * (expected / sold - 1)], abs=0.06
    )
    (partner,) = cells(page, "#partner-table")
    assert partner[0] == "CJFRE"
    tested, total = cells(page, "#test-table")
    assert tested[1:] == total[1:]
    assert numbers(total[1]) == pytest.approx([sold], abs=0.6)
    assert {row[1] for row in cells(page, "#store-table")} == {"CJFRE"}
    moved = page.locator("#movers tbody button").all_inner_texts()
    assert moved and {name.partition("_")[0] for name in moved} == {"CJFRE"}
    assert f"{len(ids)} de 60 tiendas" in read(page, "#shown")
    windows = cells(page, "#windows-table")
    assert numbers(windows[-1][1]) == pytest.approx([sold], abs=0.6)


def test_totals_of_a_partner_have_a_band_and_those_of_a_search_have_none(page):
    page.select_option("#partner", "CJGRO")
    assert "84 días de 3 ventanas" in read(page, "#band-note")
    assert "contuvo" in read(page, "#held-note")
    bands = page.locator("#chart-total .scatterlayer .fills path.js-fill")
    assert bands.count() == 2
    page.fill("#q", "Tienda 000")
    page.wait_for_selector(DRAWN, state="attached")
    assert read(page, "#band-note").startswith("Sin banda")
    assert cells(page, "#windows-table") == [[NOT_MEASURED]]


def untested(page):
    """What the page says where no store was tested; no figure of it may be 0."""
    assert read(page, "#card-test") == read(page, "#card-wape") == "–"
    assert cells(page, "#test-table") == cells(page, "#windows-table") == [[NOT_MEASURED]]
    page.wait_for_selector(f"#chart-test[aria-label$=': {NOT_MEASURED}']")
    assert page.locator("#chart-test .scatterlayer .trace").count() == 0
    return read(page, "#card-test-detail")


def test_choice_without_a_tested_store_has_no_figures_of_the_test(page):
    page.select_option("#status", "short_history")
    assert untested(page) == NOT_MEASURED
    page.select_option("#status", "ok")
    page.wait_for_selector(f"#chart-test:not([aria-label$=': {NOT_MEASURED}'])")
    assert page.locator("#chart-test .scatterlayer .trace").count() == 2
    assert "se pronosticó" in read(page, "#card-test-detail")


def test_partner_without_a_tested_store_has_no_figures_of_the_test(visit, tmp_path):
    frames = synthetic_run(12)
    gone = frames.stores.loc[frames.stores[c.PARTNER_CODE] == "CJFUE", c.STORE_ID]
    names = ("backtest", "weights", "attempted", "test_intervals")
    rest = {name: (rows := getattr(frames, name))[~rows[c.STORE_ID].isin(gone)] for name in names}
    path = tmp_path / "untested.html"
    path.write_text(render_report(content_of(replace(frames, **rest)), SETTINGS), encoding="utf-8")
    page = visit(f"{path.as_uri()}#partner=CJFUE")
    assert untested(page) == NOT_MEASURED
    page.select_option("#partner", "")
    assert "CJFUE" in read(page, "#partner-table")
    assert "CJFUE" not in read(page, "#test-table")
    assert len(cells(page, "#windows-table")) == 3


def test_search_finds_stores_and_changes_the_figures(page, content):
    page.fill("#q", "tienda 0010")
    (store,) = content.frames.stores.loc[content.frames.stores[c.STORE_CODE] == "0010", c.STORE_ID]
    ahead, *_ = sums(content, [store])
    assert numbers(read(page, "#card-next")) == pytest.approx([ahead], rel=1e-3)
    assert [row[0].split("\n")[0] for row in cells(page, "#store-table")] == [store]
    page.fill("#q", "no such store")
    assert read(page, "#shown") == "Ninguna tienda cumple los filtros."
    assert page.is_disabled("#download-stores")
    page.click("#reset")
    assert "60 de 60" in read(page, "#shown")


@pytest.mark.parametrize(
    ("asked", "column", "value"),
    [
        ("bogota", c.CITY, "Bogotá"),
        ("BOGOTÁ", c.CITY, "Bogotá"),
        ("nandu güell", c.STORE_CODE, "0008"),
        ("Ñandú", c.STORE_CODE, "0008"),
        ("aliado cjgro", c.PARTNER_CODE, "CJGRO"),
        ("CJFRE · Aliado CJFRE", c.PARTNER_CODE, "CJFRE"),
    ],
)
def test_search_needs_no_accents_and_knows_the_partners_name(page, content, asked, column, value):
    page.fill("#q", asked)
    found = {row["store_id"] for row in downloaded(page, "#download-stores")}
    assert found == set(ids_of(content, **{column: value}))


def test_dates_choose_days_and_compare_them_with_their_own(page, content):
    page.fill("#from", "2018-01-08")
    page.fill("#to", "2018-01-14")
    ids = content.frames.stores[c.STORE_ID]
    ahead, before, *_ = sums(content, ids, 7, 14)
    assert read(page, "#card-next-title") == "Del 08/01/2018 al 14/01/2018"
    assert numbers(read(page, "#card-next")) == pytest.approx([ahead], abs=0.6)
    assert numbers(read(page, "#card-change"))[0] == pytest.approx(
        100 * (ahead / before - 1), abs=0.06
    )
    assert "no incluyen días de la prueba" in read(page, "#test-scope")
    page.fill("#to", "")
    page.fill("#from", "2017-12-25")
    whole = sums(content, ids)
    assert numbers(read(page, "#card-next")) == pytest.approx([whole[0]], abs=0.6)
    assert read(page, "#test-scope") == "Solo del 25/12/2017 al 31/12/2017."


def test_only_a_store_that_opened_after_the_days_compared_is_new(page, content):
    page.fill("#from", "2018-01-01")
    page.fill("#to", "2018-01-01")
    panel = content.frames.panel
    then = panel[panel[c.DATE] == "2017-12-04"].set_index(c.STORE_ID)[c.Y]
    told = {row[0].split("\n")[0]: row[-1] for row in cells(page, "#movers-up")}
    page.fill("#q", "0001")
    told |= {row[0].split("\n")[0]: row[-1] for row in cells(page, "#movers-up")}
    words = {store: word for store, word in told.items() if not word.endswith("%")}
    assert words == {
        store: "sin ventas" if store in then else "nueva"
        for store in told
        if then.get(store, 0) == 0
    }
    assert set(words.values()) == {"sin ventas", "nueva"}


def test_a_view_can_be_sent_on_by_its_address(page, visit, report):
    page.select_option("#partner", "CJDRU")
    page.select_option("#view", "accuracy")
    page.fill("#q", "centro")
    page.click("#store-table thead button[data-by=test_wape]")
    page.click("nav a[href='#movers']")  # moves the view, not the address
    assert "partner=CJDRU" in page.url
    again = visit(page.url)
    assert read(again, "#store-table") == read(page, "#store-table")
    assert read(again, "#card-next") == read(page, "#card-next")
    assert again.input_value("#q") == "centro"
    strange = visit(f"{report}#partner=<img src=x>&view=none&page=-3&from=never&quality=x")
    assert "60 de 60" in read(strange, "#shown")


def test_hostile_name_does_nothing(page):
    page.fill("#q", "onerror")
    page.wait_for_selector(DRAWN, state="attached")
    page.click("#store-table tbody button")
    assert HOSTILE in read(page, "#picker-note")
    assert HOSTILE in read(page, "#movers")
    page.click("#figure-importance + details summary")
    assert HOSTILE in read(page, "#figure-importance + details table")
    assert page.locator("img").count() == 0


def downloaded(page, button):
    with page.expect_download() as waiting:
        page.click(button)
    raw = waiting.value.path().read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))


def test_csv_of_stores_is_what_is_filtered(page, content):
    page.select_option("#partner", "CJGRO")
    rows = downloaded(page, "#download-stores")
    ids = ids_of(content, partner_code="CJGRO")
    assert {row["store_id"] for row in rows} == set(ids)
    forecast = content.table.set_index(c.STORE_ID)["forecast_total"]
    for row in rows:
        assert float(row["forecast_total"]) == pytest.approx(forecast[row["store_id"]], rel=1e-3)
    # a formula is told to be text
    assert [row["store_name"] for row in rows if FORMULA in row["store_name"]] == [f"'{FORMULA}"]


def test_csv_of_days_holds_the_chosen_days_with_their_intervals(page, content):
    page.select_option("#country", "Colombia")
    page.fill("#to", "2018-01-03")
    rows = downloaded(page, "#download-days")
    frames = content.frames
    ids = ids_of(content, country="Colombia")
    expected = frames.forecasts[
        frames.forecasts[c.STORE_ID].isin(ids) & (frames.forecasts[c.DATE] <= "2018-01-03")
    ].set_index([c.STORE_ID, c.DATE])
    assert len(rows) == len(expected) == 3 * len(ids)
    for row in rows[::7]:
        one = expected.loc[(row["store_id"], pd.Timestamp(row["date"]))]
        for name in ("forecast", "lower_80", "upper_95"):
            assert float(row[name]) == pytest.approx(one[name], rel=1e-3, abs=1e-6)


def test_days_of_an_axis_are_written_once(page):
    page.fill("#from", "2018-01-02")
    page.fill("#to", "2018-01-03")
    for chart in (page.locator("#chart-total"), page.locator("#partner-grid .chart").first):
        labels = chart.locator(".xtick text").all_text_contents()
        assert labels == ["02/01/18", "03/01/18"]


def test_charts_are_tables_too(page, content):
    images = page.locator(".js-plotly-plot")
    assert images.count() >= 11
    for image in images.all():
        assert image.get_attribute("role") == "img"
        assert image.get_attribute("aria-label")
    page.click("#totals details summary")
    page.wait_for_selector("#totals details table")
    rows = cells(page, "#totals details")
    assert rows[0][0] == "28/01/2018"
    assert len(rows) == 150 + 28
    last = content.frames.forecasts[content.frames.forecasts[c.HORIZON] == 28]
    assert numbers(rows[0][-1]) == pytest.approx([last[c.FORECAST].sum()], abs=0.6)
    assert page.get_attribute("#chart-total", "aria-label").startswith("Total y aliados: ")


def test_keyboard_reaches_and_works_everything(visit, report):
    page = visit(report)  # nothing has the focus yet
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    head = page.locator("#store-table thead button[data-by=forecast_total]")
    head.focus()
    page.keyboard.press("Enter")
    assert page.locator("#store-table th[aria-sort=ascending]").count() == 1
    assert page.evaluate("document.activeElement.dataset.by") == "forecast_total"
    page.locator("#totals details summary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#totals details table")
    page.locator("#store-table tbody button").nth(1).focus()
    page.keyboard.press("Enter")
    assert "store=" in page.url


CONTRAST = """() => {
  const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (rgb) => rgb.map((v) => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(one).backgroundColor);
      if (a > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
    const hidden = !node.getClientRects().length || node.disabled;
    if (!own || hidden || node.closest("svg, script, style, .skip")) continue;
    const style = getComputedStyle(node);
    const [one, two] = [light(parse(style.color).slice(0, 3)), light(behind(node))];
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) poor.push([node.className, node.textContent, ratio]);
  }
  return poor;
}"""


def test_every_text_stands_out_from_its_ground(page):
    assert page.evaluate(CONTRAST) == []


TARGETS = """() => [...document.querySelectorAll("a, button, input, select, summary")]
  .filter((node) => node.getClientRects().length && !node.closest(".skip, .modebar"))
  .map((node) => [node.outerHTML, node.getBoundingClientRect()])
  .filter(([, box]) => box.height < 24 || box.width < 24)
  .map(([text]) => text)"""


def test_phone_has_room_for_everything_and_for_fingers(visit, report):
    page = visit(report, width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.click("#filter-box summary")
    assert page.evaluate(TARGETS) == []
    box = page.locator("#partner").bounding_box()
    assert box["height"] >= 44
    shown = page.locator("#partner-table tbody tr").first.bounding_box()
    assert shown["x"] + shown["width"] <= 390


def test_paper_gets_the_figures_and_not_the_controls(page):
    page.select_option("#partner", "CJGRO")
    page.emulate_media(media="print")
    for control in ("#filters", "#download-stores", "#previous", "header nav"):
        assert not page.locator(control).is_visible(), control
    assert "Aliado: CJGRO" in read(page, "#active")
    assert page.locator("#chart-total").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
    widest = page.evaluate(
        "Math.max(...[...document.querySelectorAll('.main-svg')].map((svg) => svg.clientWidth))"
    )
    assert widest <= 1440  # charts go back to the width of the screen


def test_country_that_all_stores_are_in_has_the_band_of_the_total(visit, content, tmp_path):
    stores = content.frames.stores.assign(**{c.COUNTRY: "Chile"})
    path = tmp_path / "one_country.html"
    alone = replace(content, frames=replace(content.frames, stores=stores))
    path.write_text(render_report(alone, ENGLISH), encoding="utf-8")
    page = visit(path.as_uri())
    whole = read(page, "#band-note")
    assert whole.startswith("The band is that of the total")
    page.select_option("#country", "Chile")
    assert read(page, "#band-note") == whole
    page.select_option("#partner", "CJFRE")
    assert read(page, "#band-note").startswith("The band is that of the total")


def test_stores_that_have_no_room_are_told_and_counted(visit, content, tmp_path, monkeypatch):
    monkeypatch.setattr(payload, "MAX_LISTED_VALUES", 10 * 3 * 28)
    monkeypatch.setattr(payload, "MAX_SERIES_VALUES", 2 * (150 + 4 * 28))
    path = tmp_path / "bounded.html"
    path.write_text(render_report(content, ENGLISH), encoding="utf-8")
    page = visit(path.as_uri())
    assert "This file lists 10 stores of 60: " in read(page, "#bounded")
    moved = moves(content)
    assert read(page, "#card-movers") == (
        f"{(moved > 0).sum()} go up and {(moved < 0).sum()} go down"
    )
    for table, first in (("#movers-up", moved.idxmax()), ("#movers-down", moved.idxmin())):
        assert cells(page, table)[0][0].startswith(first)
    assert read(page, "#movers-scope") == ""
    (total,) = [float(text.replace(",", "")) for text in [read(page, "#card-next")]]
    assert total == pytest.approx(content.frames.forecasts[c.FORECAST].sum(), abs=0.6)
    page.select_option("#status", "ok")
    assert "Sum of the 10 stores that this file lists." in read(page, "#totals-scope")
    assert "Of the 10 stores that this file lists." in read(page, "#movers-scope")
    assert "Of the 10 stores that this file lists." in read(page, "#card-movers")
    page.locator("#store-table tbody button").nth(5).click()
    assert "the 2 stores with the largest forecasts" in read(page, "#picker-note")


@pytest.mark.parametrize("by", ["recent", "haystack", "constructor", "weight_none"])
def test_address_that_asks_for_an_order_of_nothing_gets_the_usual_one(visit, report, by):
    page = visit(f"{report}#by={by}")
    sorted_by = page.locator("#store-table th[aria-sort=descending] button")
    assert sorted_by.get_attribute("data-by") == "forecast_total"
