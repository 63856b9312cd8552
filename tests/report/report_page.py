"""A made-up run told to the report, and the page taken apart: what several test files share."""

from html.parser import HTMLParser

from lifemiles_forecasting.core import coverage
from lifemiles_forecasting.core.config import QualityTier, ReportSettings
from lifemiles_forecasting.core.quality import aggregate, store_metrics
from lifemiles_forecasting.core.synthetic_run import (
    synthetic_balance,
    synthetic_failures,
    synthetic_importance,
    synthetic_verdict,
    synthetic_warnings,
)
from lifemiles_forecasting.report.content import ReportContent

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

DRAWN = "html[data-ready=charts]"  # the page in a browser, once every chart is there


def content_of(frames, failures=None):
    table = store_metrics(frames, SETTINGS)
    metrics = aggregate(table, frames, SETTINGS, 1.0)
    return ReportContent(
        frames=frames,
        table=table,
        metrics=metrics,
        coverage=coverage.coverage_table(frames, SETTINGS),
        failures=synthetic_failures(frames) if failures is None else failures,
        row_balance=synthetic_balance(frames),
        configuration={"target": "billings", "reporting": {"language": "es"}},
        run=RUN,
        warnings=synthetic_warnings(),
        importance=synthetic_importance(),
        verdict=synthetic_verdict(metrics),
    )


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


class Watch:
    """Opens pages and watches them: nothing may be asked for, nothing may go wrong."""

    def __init__(self, browser):
        self.browser, self.contexts, self.troubles = browser, [], []

    def open(self, address, *, scripts=True, width=1440, height=900):
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            java_script_enabled=scripts,
            locale="es-CO",
        )
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: self.troubles.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.troubles.append(f"dialog: {dialog.message}"))
        page.on("request", lambda asked: self._asked(asked.url, address))
        page.goto(address)
        if scripts:
            page.wait_for_selector(DRAWN, state="attached")
        return page

    def _asked(self, url, address):
        # a download is made from the page itself
        if url.partition("#")[0] != address.partition("#")[0] and not url.startswith("blob:"):
            self.troubles.append(f"request: {url}")

    def close(self):
        for context in self.contexts:
            context.close()
