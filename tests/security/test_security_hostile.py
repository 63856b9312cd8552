"""What a hostile project must not leave or say, and models that somebody has tampered with.

The project of the fixture `hostile` was trained, scored, monitored, refused once and backed up.
What may never leave it are member numbers, secrets, and codes that act. Its models are then
tampered with: they are refused, and nothing in them runs. Both are in one file, as the project
takes long to be made and each file may get to another process.
"""

import ast
import csv
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from hostile_project import HOSTILE_NAME, MEMBER, SECRET, SECRETS
from traces import traces

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.core.fleet import FleetModel
from lifemiles_forecasting.tracking import fleet, serving
from lifemiles_forecasting.tracking.model import MANIFEST, read_files, write_files
from lifemiles_forecasting.tracking.names import (
    BEFORE_TEST_DIGEST,
    CHAMPION,
    FILES_DIGEST,
    REGISTERED_MODEL,
)
from lifemiles_forecasting.tracking.pyfunc_folder import check_pyfunc
from lifemiles_forecasting.tracking.registered_fleet import RegisteredFleets, incumbent

SOURCE = Path(fleet.__file__).parents[1]
INPUTS = ("src", "conf/local", "data/01_raw")
QUARANTINES = (
    "data/02_intermediate/quarantine.parquet",
    "data/02_intermediate/scoring/quarantine.parquet",
    "data/02_intermediate/monitoring/quarantine.parquet",
)
CODES = dict.fromkeys(("store_id", "partner_code", "store_code", "subject", "value"), str)


@pytest.fixture(scope="module")
def left(hostile):
    """Name and text of everything that the project left behind or said."""
    found = list(traces(hostile.project.folder, without=INPUTS))
    return [*found, *((f"what {name} said", text) for name, text in hostile.said.items())]


def holding(left, text):
    return {name for name, content in left if text in content}


def test_the_search_sees_into_every_kind_of_file(left):
    """A code that has to be in all of them is found in all of them."""
    seen = holding(left, "' OR 1=1 --")
    expected = {
        *("rows of mlflow.db", "data/03_primary/panel.parquet"),
        *("data/08_reporting/report.html", "data/08_reporting/store_metrics.csv"),
        *("data/07_model_output/forecasts.csv", "data/07_model_output/scoring/forecasts.parquet"),
        *("data/08_reporting/monitoring/drift.csv", "backup.tar.gz/mlflow.db"),
    }
    assert expected <= seen
    for ending in ("state.json", "stores.parquet", "forecasts.csv", "report.html"):
        assert any(name.startswith("mlruns/") and name.endswith(ending) for name in seen), ending
        assert any(name.startswith("backup.tar.gz/mlruns/") and name.endswith(ending)
                   for name in seen), ending  # fmt: skip


def test_member_numbers_are_in_nothing_but_the_quarantine(left):
    assert holding(left, MEMBER) == set(QUARANTINES)


def test_secrets_are_nowhere(left, hostile):
    assert (hostile.project.folder / "conf" / "local" / "credentials.yml").is_file()
    assert len(left) > 100
    assert holding(left, SECRET) == set()
    assert len({"training", "scoring", "monitoring", "refusal"} & hostile.said.keys()) == 4
    assert all(hostile.said.values())


def test_reference_in_a_store_code_is_never_filled_in(left):
    assert "data/07_model_output/forecasts.csv" in holding(left, "${oc.env:AWS_SECRET_ACCESS_KEY}")


def test_store_codes_reach_no_path(hostile):
    top = hostile.project.folder.parent
    names = {path.name for path in top.rglob("*") if "src" not in path.relative_to(top).parts}
    assert not [name for name in names if any(sign in name for sign in "=<>'\";$")]
    assert not [name for name in names if "escaped" in name]
    assert {path.name for path in top.iterdir()} == {"project", "raw"}


@pytest.mark.parametrize("code", ["../../../escaped", "' OR 1=1 --", "x;=1+1"])
def test_store_codes_are_found_by_themselves_alone(hostile, code):
    from lifemiles_forecasting.tracking.queries import PastRuns

    table = hostile.forecasts("07_model_output/forecasts.parquet")
    (store_id,) = set(table.loc[table["store_code"] == code, "store_id"])
    (run,) = PastRuns(hostile.client).history(store_id, 10)
    assert run["store_id"] == store_id


class Page(HTMLParser):
    """Start tags of a page, and the text of its elements that are neither script nor style."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", ["report.html", "monitoring/monitoring.html"])
def test_reports_run_nothing_that_comes_from_the_rows(hostile, name):
    text = hostile.project.output(f"08_reporting/{name}").read_text("utf-8")
    marks = ("escaped", "evil.example", "x;=1+1", "alert(", "OR 1=1", "AWS_SECRET")
    assert any(mark in text for mark in marks)  # the codes are there
    tags = Page(text).tags
    assert not [attrs for _, attrs in tags if any(key.startswith("on") for key in attrs)]
    assert not [tag for tag, attrs in tags if tag in {"img", "iframe", "object"}]
    assert HOSTILE_NAME not in text
    assert "<script>alert(" not in text


def separators(file):
    """The file's cells as programs see them that part lines at a comma or, as in Spanish, at ;."""
    for separator in ",;\t":
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.reader(lines, delimiter=separator):
                yield from row


def is_number(cell):
    try:
        float(cell.partition(",")[0])
    except ValueError:
        return False
    return True


def test_no_cell_of_a_csv_file_is_a_formula(hostile):
    files = [
        file
        for file in hostile.project.folder.rglob("*.csv")
        if "01_raw" not in file.parts and "src" not in file.parts
    ]
    names = {file.name for file in files}
    assert {"forecasts.csv", "store_metrics.csv", "coverage.csv", "accuracy.csv", "drift.csv",
            "failures.csv", "warnings.csv"} <= names  # fmt: skip
    cells = {cell for file in files for cell in separators(file) if not is_number(cell)}
    assert not [cell for cell in cells if cell.lstrip(" ").startswith(tuple("=+-@\t\r"))]
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)


def test_csv_files_are_read_back_as_they_were(hostile):
    """Through the catalog: the codes of the CSV file are those of the parquet file."""
    from kedro.framework.session import KedroSession

    exact = hostile.forecasts("07_model_output/forecasts.parquet")
    with KedroSession.create(hostile.project.folder) as session:
        catalog = session.load_context().catalog
        read = catalog.load("forecasts_csv")
        metrics = catalog.load("store_metrics")
        drift = catalog.load("last_drift")
    keys = ["store_id", "partner_code", "store_code"]
    assert read[keys].astype(str).equals(exact[keys].astype(str))
    assert set(metrics["store_id"]) == set(drift["store_id"]) == set(exact["store_id"])


# --- models that somebody has tampered with


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


@pytest.fixture
def canary(tmp_path):
    """A file that is there once something planted has run; nothing has, at the end of the test."""
    file = tmp_path / "something_has_run"
    yield file
    assert not file.exists()


@pytest.fixture
def poison(canary):
    """A pickle that runs a command when it is loaded."""
    pickled = pickle.dumps(Touch(canary))
    pickle.loads(pickled)
    assert canary.exists()  # it does work
    canary.unlink()
    return pickled


@pytest.fixture
def logged(hostile):
    """The folder of the champion's model, put back afterwards."""
    version = hostile.client.get_model_version_by_alias(REGISTERED_MODEL, CHAMPION)
    name = version.source.removeprefix("models:/")
    folder = hostile.project.folder / "mlruns" / "models" / name / "artifacts"
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    yield folder
    shutil.rmtree(folder)
    kept.rename(folder)


def skops_file(poison):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        schema = {"__class__": "system", "__module__": "os", "__loader__": "ObjectNode"}
        archive.writestr("schema.json", json.dumps(schema))
        archive.writestr("x.pkl", poison)
    return content.getvalue()


def object_array(poison):
    """An npz whose array is a pickle."""
    content, name = io.BytesIO(), "y.npy"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|O", "fortran_order": False, "shape": (1,)}
    )
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, header.getvalue() + poison)
    return content.getvalue()


def sign_again(data):
    """Make the manifest fit whatever is there now, as somebody who knows it would."""
    files = {file.name: file for file in data.iterdir() if file.name != MANIFEST}
    sums = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    (data / MANIFEST).write_text(json.dumps({"sha256": sums}, indent=1))


def plant_pickle(data, poison):
    (data / "model.pkl").write_bytes(poison)


def plant_skops(data, poison):
    (data / "scaler.skops").write_bytes(skops_file(poison))


def replace_cbm(data, poison):
    (data / "direct.cbm").write_bytes(poison)


def replace_arrays(data, poison):
    (data / "arrays.npz").write_bytes(object_array(poison))


PLANTED = [
    (plant_pickle, "model.pkl"),
    (plant_skops, "scaler.skops"),
    (replace_cbm, "direct.cbm"),
    (replace_arrays, "arrays.npz"),
]


def read_champion(hostile):
    return RegisteredFleets(hostile.client).read(None, CHAMPION)


def test_model_that_nobody_touched_is_read(hostile, logged):
    assert read_champion(hostile).fleet.recipe["target"] == "local_amount"


@pytest.mark.parametrize(("plant", "name"), PLANTED)
def test_planted_file_is_refused_by_its_checksum(hostile, logged, poison, plant, name):
    plant(logged / "data" / "fleet", poison)
    with pytest.raises(TrackingError, match=f"changed, missing or added model files {name} in "):
        read_champion(hostile)


@pytest.mark.parametrize(("plant", "name"), PLANTED)
def test_manifest_that_fits_the_planted_file_is_refused_too(hostile, logged, poison, plant, name):
    """Who can write to the artifacts alone is found out by what the database holds."""
    data = logged / "data" / "fleet"
    plant(data, poison)
    sign_again(data)
    assert name in json.loads((data / MANIFEST).read_text())["sha256"]
    with pytest.raises(TrackingError, match=r"another manifest\.json in .* than the one that was"):
        read_champion(hostile)


def test_version_that_was_registered_by_hand_goes_by_the_digest_of_its_run(hostile, logged, poison):
    champion = hostile.client.get_model_version_by_alias(REGISTERED_MODEL, CHAMPION)
    by_hand = hostile.client.create_model_version(
        REGISTERED_MODEL, champion.source, champion.run_id
    )
    assert FILES_DIGEST not in by_hand.tags
    number = int(by_hand.version)
    try:
        fleets = RegisteredFleets(hostile.client)
        assert fleets.read(number, CHAMPION).fleet.recipe["target"] == "local_amount"
        data = logged / "data" / "fleet"
        replace_arrays(data, poison)
        sign_again(data)
        with pytest.raises(
            TrackingError, match=r"another manifest\.json in .* than the one that was"
        ):
            fleets.read(number, CHAMPION)
    finally:
        hostile.client.delete_model_version(REGISTERED_MODEL, by_hand.version)


def test_array_that_is_a_pickle_runs_nothing_even_when_it_is_trusted(logged, poison, canary):
    data = logged / "data" / "fleet"
    replace_arrays(data, poison)
    sign_again(data)
    with np.load(data / "arrays.npz", allow_pickle=True) as arrays:
        assert arrays["y"] is not None
    canary.unlink()  # it does work
    with pytest.raises(ValueError, match="allow_pickle=False"):
        FleetModel.from_files(read_files(data))


@pytest.fixture
def kept_before_test(hostile):
    """The folder of the champion before its test window, put back afterwards."""
    champion = hostile.client.get_model_version_by_alias(REGISTERED_MODEL, CHAMPION)
    folder = hostile.project.folder / "mlruns" / champion.run_id / "artifacts/model_before_test"
    kept = {file: file.read_bytes() for file in folder.iterdir()}
    yield folder
    for file in folder.iterdir():
        file.unlink()
    for file, content in kept.items():
        file.write_bytes(content)


def test_model_before_the_test_window_is_checked_as_well(hostile, kept_before_test, poison):
    assert incumbent(hostile.client).problem == ""
    replace_cbm(kept_before_test, poison)
    assert "changed, missing or added model files direct.cbm" in incumbent(hostile.client).problem
    sign_again(kept_before_test)
    assert "another manifest.json" in incumbent(hostile.client).problem


def test_digests_of_the_manifests_are_in_the_tracking_store(hostile, logged, kept_before_test):
    champion = hostile.client.get_model_version_by_alias(REGISTERED_MODEL, CHAMPION)
    tags = hostile.client.get_run(champion.run_id).data.tags
    for digest, folder in (
        (champion.tags[FILES_DIGEST], logged / "data" / "fleet"),
        (tags[FILES_DIGEST], logged / "data" / "fleet"),
        (tags[BEFORE_TEST_DIGEST], kept_before_test),
    ):
        assert digest == hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def change_flavor(changes):
    def change(content):
        content["flavors"]["python_function"].update(changes)

    return change


def add_flavor(content):
    content["flavors"]["sklearn"] = {"pickled_model": "model.pkl", "serialization_format": "pickle"}


def rename_flavor(content):
    content["flavors"] = {"sklearn": {"pickled_model": "model.pkl"}}


TAMPERED = [
    (change_flavor({"loader_module": "evil"}), "is loaded by 'evil' from 'data/fleet'"),
    (change_flavor({"loader_module": "mlflow.sklearn"}), "is loaded by 'mlflow.sklearn' from"),
    (
        change_flavor({"data": "../../evil"}),
        "is loaded by 'lifemiles_forecasting.tracking.fleet' from '../../evil'",
    ),
    (change_flavor({"code": "code"}), "brings code along"),
    (change_flavor({"model_code_path": "code/evil.py"}), "brings model_code_path along"),
    (change_flavor({"python_model": "model.pkl"}), "brings python_model along"),
    (add_flavor, "has the flavors python_function, sklearn"),
    (rename_flavor, "is loaded by None from None"),
]


@pytest.mark.parametrize(("tamper", "message"), TAMPERED)
def test_mlmodel_that_names_other_code_is_refused(hostile, logged, poison, canary, tamper, message):
    content = yaml.safe_load((logged / "MLmodel").read_text())
    tamper(content)
    (logged / "MLmodel").write_text(yaml.safe_dump(content))
    (logged / "code").mkdir()
    evil = f"import os\nos.system('touch {canary}')\n"
    (logged / "code" / "evil.py").write_text(evil)
    (logged / "model.pkl").write_bytes(poison)
    with pytest.raises(TrackingError) as caught:
        read_champion(hostile)
    assert f"found a model that {message}" in str(caught.value)


def test_mlflow_itself_would_run_that_code(logged, canary):
    """Why the file is looked at before `kedro serve` hands the model to MLflow."""
    content = yaml.safe_load((logged / "MLmodel").read_text())
    change_flavor({"loader_module": "evil", "code": "code"})(content)
    (logged / "MLmodel").write_text(yaml.safe_dump(content))
    (logged / "code").mkdir()
    evil = f"import os\nos.system('touch {canary}')\n_load_pyfunc = print\n"
    (logged / "code" / "evil.py").write_text(evil)
    program = f"import mlflow\nmlflow.pyfunc.load_model({str(logged)!r})"
    subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=60)
    assert canary.exists()
    canary.unlink()


@pytest.mark.parametrize(
    "text", ["", "[]", "flavors: 7", "flavors: !!python/object/apply:os.system ['touch {canary}']"]
)
def test_mlmodel_that_cannot_be_read_is_refused(tmp_path, canary, text):
    (tmp_path / "MLmodel").write_text(text.replace("{canary}", str(canary)))
    with pytest.raises(TrackingError, match=r"found (no readable MLmodel in|a model that)"):
        check_pyfunc(tmp_path, "ours", "data")


@pytest.mark.usefixtures("keep_address")
def test_serving_refuses_what_mlflow_would_run(hostile, logged):
    content = yaml.safe_load((logged / "MLmodel").read_text())
    change_flavor({"code": "code"})(content)
    (logged / "MLmodel").write_text(yaml.safe_dump(content))
    with pytest.raises(TrackingError, match="brings code along"):
        serving.load_version(hostile.project.tracking_uri, None, None, CHAMPION)
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


@pytest.fixture
def keep_address(monkeypatch):
    """Serving sets what MLflow looks at from then on."""
    import mlflow

    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    for name in (
        *("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"),
        *("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"),
    ):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    yield
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(None)  # goes by the tracking store again


def test_digest_is_that_of_the_manifest(tmp_path):
    digest = write_files(tmp_path / "model", {"a.json": b"{}"})
    assert read_files(tmp_path / "model", digest) == {"a.json": b"{}"}
    with pytest.raises(TrackingError, match=r"another manifest\.json"):
        read_files(tmp_path / "model", "0" * 64)


WATCH = """
import sys

seen = set()


def watch(event, arguments):
    if event == "pickle.find_class":
        seen.add(".".join(arguments))


sys.addaudithook(watch)
if sys.argv.pop(1) == "control":
    import decimal, pickle
    pickle.loads(pickle.dumps(decimal.Decimal(1)))
else:
    from kedro.framework.cli import main
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
print("UNPICKLED", *sorted(seen))
"""


def unpickled(project, *arguments):
    """The classes that a program has unpickled, by the word of Python itself."""
    result = subprocess.run(
        [sys.executable, "-c", WATCH, *arguments],
        cwd=project.folder,
        env=project.environment(**SECRETS),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("UNPICKLED")]
    return line.split()[1:]


def test_scoring_unpickles_nothing_of_ours(hostile):
    """Babel keeps the names of countries as pickles inside its own installed package."""
    assert unpickled(hostile.project, "control") == ["decimal.Decimal"]
    score = ("run", "--pipelines=forecasting", "--params=as_of=2017-12-10,horizon=3")
    found = unpickled(hostile.project, "kedro", *score)
    assert [name for name in found if not name.startswith("babel.")] == []


LOADERS = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "skops", "jsonpickle"}
BUILT_IN = {"eval", "exec", "compile", "__import__"}
METHODS = {"read_pickle", "to_pickle"}


def test_source_knows_no_loader_that_runs_code():
    """Modules that unpickle are imported nowhere; joblib starts processes and loads nothing."""
    found = []
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None) or ""
                names = [module, *(alias.name for alias in node.names)]
                found += [(file.name, name) for name in names if name.split(".")[0] in LOADERS]
            elif isinstance(node, ast.Call):
                name, method = (getattr(node.func, key, None) for key in ("id", "attr"))
                owner = getattr(getattr(node.func, "value", None), "id", None)
                unsafe = owner in {"joblib", "yaml"} and method == "load"
                if name in BUILT_IN or method in METHODS or unsafe:
                    found.append((file.name, name or f"{owner}.{method}"))
    assert found == []
