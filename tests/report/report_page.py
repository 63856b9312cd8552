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
