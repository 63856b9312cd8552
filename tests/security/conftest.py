"""One project that meets everything hostile at once; the tests only look at what it left."""

import os

import mlflow
import pytest
from hostile_project import LOGIN, SECRETS, SETTINGS, Hostile, hostile_rows

from lifemiles_forecasting.tracking.backup import backup


@pytest.fixture(scope="package")
def hostile(few_stores, tmp_path_factory, copy_project):
    """Trained, scored, monitored and backed up, with secrets in conf/local and the environment."""
    top = tmp_path_factory.mktemp("hostile")
    (top / "project").mkdir()
    (top / "raw").mkdir()
    one = Hostile(copy_project(top / "project"))
    raw = hostile_rows(few_stores, top / "raw")
    local = one.project.folder / "conf" / "local"
    (local / "parameters.yml").write_text(SETTINGS)
    (local / "globals.yml").write_text(f"paths: {{raw_transactions: {raw}}}\n")
    (local / "credentials.yml").write_text(LOGIN)
    (local / "mlflow.yml").write_text("server: {credentials: login}\n")
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", *(n for n in os.environ if n.startswith("LIFEMILES_"))):
            patch.delenv(name, raising=False)
        # kedro-mlflow puts the login there; what the variables were comes back at the end
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            patch.setenv(name, "")
        for name, secret in SECRETS.items():
            patch.setenv(name, secret)
        one.command("training", "run", "--params=as_of=2017-12-03")
        one.run("scoring", ["forecasting"], as_of="2017-12-17")
        one.run("monitoring", ["monitoring"])
        refused = {"data_processing": {"max_quarantined_share": 0.0}}
        one.run("refusal", refused=True, **refused)
        backup(one.project.tracking_uri, one.project.folder / "backup.tar.gz")
        yield one
    mlflow.set_tracking_uri(before)
