"""A project with everything hostile in its rows and secrets around it."""

import io
import logging
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field

import pandas as pd
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.core.errors import InputError

MEMBER = "MEMBER"
SECRET = "Sup3r-S3cret"
HORIZON = 14
# in place of codes of the sample: a path, formulas, HTML, SQL, a reference, a template
HOSTILE_CODES = [
    "../../../escaped",
    '=HYPERLINK("http://evil.example";"open")',
    "x;=1+1",
    "<script>alert('code')</script>",
    "' OR 1=1 --",
    "${oc.env:AWS_SECRET_ACCESS_KEY}",
]
HOSTILE_NAME = "<img src=x onerror=alert('name')>"
SETTINGS = """
target: local_amount
horizon: 14
modeling:
  workers: 1
  n_windows: 2
  candidates: [base, direct, ridge]
  direct:
    sizes:
      small: {iterations: 10, depth: 3}
      large: {iterations: 20, depth: 3}
gate: {max_bias: 1000}
monitoring: {days: 14, drift_percentile: 51}
"""
LOGIN = f"login: {{MLFLOW_TRACKING_USERNAME: job, MLFLOW_TRACKING_PASSWORD: {SECRET}}}\n"
SECRETS = {"AWS_SECRET_ACCESS_KEY": SECRET, "MLFLOW_TRACKING_TOKEN": SECRET}


@dataclass
class Hostile:
    """A project, and what its commands said, by name."""

    project: object
    said: dict = field(default_factory=dict)

    @property
    def client(self):
        return MlflowClient(tracking_uri=self.project.tracking_uri)

    def forecasts(self, name):
        return pd.read_parquet(self.project.output(name))

    def command(self, name, *arguments):
        """A real `kedro` command."""
        result = self.project.kedro(*arguments, **SECRETS)
        assert result.returncode == 0, result.stderr
        self.said[name] = result.stdout + result.stderr

    def run(self, name, pipelines=None, refused=False, **parameters):
        """The same inside this process, which saves the start of Python; every detail is logged."""
        bootstrap_project(self.project.folder)
        with listening() as log:
            session = KedroSession.create(self.project.folder, runtime_params=parameters)
            try:
                with session:
                    session.run(pipeline_names=pipelines)
            except InputError:
                assert refused
                log.write(traceback.format_exc())
            else:
                assert not refused
        self.said[name] = log.getvalue()


@contextmanager
def listening():
    """Everything that our code logs, details included."""
    log, logger = io.StringIO(), logging.getLogger("lifemiles_forecasting")
    handler, level = logging.StreamHandler(log), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield log
    logger.removeHandler(handler)
    logger.setLevel(level)


def hostile_rows(few_stores, folder):
    """The rows of `few_stores` with marked members, hostile codes and names, and damaged rows."""
    months = {file.name: pd.read_csv(file, dtype=str) for file in sorted(few_stores.glob("*.csv"))}
    rows = pd.concat(months.values())
    largest = rows.groupby(["Partner Code", "Store Code"]).size().nlargest(len(HOSTILE_CODES))
    codes = dict(zip(largest.index, HOSTILE_CODES, strict=True))
    for name, month in months.items():
        month["Membership Number"] = MEMBER + month["Membership Number"]
        own = pd.MultiIndex.from_frame(month[["Partner Code", "Store Code"]])
        month["Store Code"] = [codes.get(key, key[1]) for key in own]
        month["Partner Name"] = month["Store Name"] = month["City"] = HOSTILE_NAME
        month.loc[month.index[:3], "Local Amount"] = "twelve"
        month.to_csv(folder / name, index=False)
    return folder
