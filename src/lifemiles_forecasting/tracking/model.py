"""One store's model as an MLflow pyfunc: plain files with checksums, nothing pickled."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lifemiles_forecasting.core import columns
from lifemiles_forecasting.core.errors import TrackingError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

ARTIFACT_PATH = "model"
MANIFEST = "manifest.json"
_DATA = "store_model"
_RUN_ID, _MODEL_UUID, _CREATED = "RUN_ID_OF_STORE", "MODEL_UUID_OF_STORE", "TIME_OF_STORE"
_PACKAGES = ("lifemiles-forecasting", "mlflow", "catboost", "numpy", "pandas", "pydantic")
_TYPES = {columns.HORIZON: "long", columns.FORECAST: "double"}


@dataclass(frozen=True)
class ModelTemplate:
    """A pyfunc model folder without its data, written by MLflow once and stamped for every store.

    Attributes:
        files: relative name -> text of the files that are the same for all stores.
        mlmodel: text of the `MLmodel` file, with places for what differs.
    """

    files: Mapping[str, str]
    mlmodel: str

    def save(self, folder: Path, files: Mapping[str, bytes], run_id: str) -> str:
        """Write one store's model.

        Args:
            folder: the model folder; must not exist yet.
            files: the model's files by relative name.
            run_id: the store's run.

        Returns:
            The id that the `MLmodel` file gives to this model.

        Raises:
            TrackingError: a file name that could leave the folder or hide the manifest.
        """
        write_files(folder / "data" / _DATA, files)
        for name, text in self.files.items():
            (folder / name).write_text(text)
        model_uuid = uuid4().hex
        stamped = (
            self.mlmodel.replace(_RUN_ID, f"'{run_id}'")
            .replace(_MODEL_UUID, f"'{model_uuid}'")
            .replace(_CREATED, f"'{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}'")
        )
        size = sum(map(len, files.values()))
        stamped = re.sub(r"(?m)^model_size_bytes: .*$", f"model_size_bytes: {size}", stamped)
        (folder / "MLmodel").write_text(stamped)
        return model_uuid


@lru_cache(maxsize=1)
def model_template() -> ModelTemplate:
    """Let MLflow write the model folder once: anew for every store takes twice as long."""
    import mlflow.pyfunc
    from mlflow.models import Model

    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # MLflow asks for an input example; the signature below says all there is to say
        warnings.simplefilter("ignore")
        (Path(folder) / _DATA).mkdir()
        target = Path(folder) / ARTIFACT_PATH
        mlflow.pyfunc.save_model(
            path=str(target),
            loader_module=__name__,
            data_path=str(Path(folder) / _DATA),
            mlflow_model=Model(
                artifact_path=ARTIFACT_PATH,
                run_id=_RUN_ID,
                model_uuid=_MODEL_UUID,
                utc_time_created=_CREATED,
            ),
            pip_requirements=requirements(_PACKAGES),
            signature=signature(),
        )
        shutil.rmtree(target / "data", ignore_errors=True)
        texts = {file.name: file.read_text() for file in target.iterdir()}
    mlmodel = texts.pop("MLmodel")
    if "model_size_bytes:" not in mlmodel:
        mlmodel += "model_size_bytes: 0\n"
    return ModelTemplate(texts, mlmodel)


def requirements(packages: Sequence[str]) -> list[str]:
    """The installed versions: fixed, because finding them out takes MLflow seconds per model."""
    return [f"{name}=={version(name)}" for name in packages]


def signature(stores: bool = False) -> ModelSignature:
    """What a model is asked and what it answers.

    Args:
        stores: whether a row of the question names its store.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    # dates may come as text or as dates, hence any; without a column: the whole horizon
    inputs = [ColSpec("string", columns.STORE_ID)] if stores else []
    # where only some rows name a day, pandas makes the column one of floats, and MLflow would
    # refuse it as long, or cut 1.5 down to 1
    inputs += [
        ColSpec(AnyType() if stores else "long", columns.HORIZON, required=False),
        ColSpec(AnyType(), columns.DATE, required=False),
    ]
    outputs = [
        ColSpec(
            "double" if name.startswith(("lower", "upper")) else _TYPES.get(name, "string"), name
        )
        for name in columns.FORECASTS
    ]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _checksums(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def write_files(folder: Path, files: Mapping[str, bytes]) -> str:
    """Write a model's files and the manifest of their checksums.

    Args:
        folder: must not exist yet.
        files: content by plain file name.

    Returns:
        The manifest's own SHA-256, for `read_files`.

    Raises:
        TrackingError: a file name that could leave the folder or hide the manifest.
    """
    folder.mkdir(parents=True)
    for name, content in files.items():
        if Path(name).name != name or name in {"", ".", "..", MANIFEST}:
            raise TrackingError(f"a model file named {name!r}", "a plain file name")
        (folder / name).write_bytes(content)
    manifest = json.dumps({"sha256": _checksums(files)}, indent=1).encode()
    (folder / MANIFEST).write_bytes(manifest)
    return hashlib.sha256(manifest).hexdigest()


def read_files(folder: Path, digest: str | None = None) -> dict[str, bytes]:
    """Read a model's files and check them before anything is parsed.

    Args:
        folder: the data folder of the model.
        digest: from `write_files`; without it the manifest is taken at its word.

    Raises:
        TrackingError: there is no readable manifest, it is not the one that was written, or a file
            is missing, added or changed.
    """
    hint = "Load the model from the run itself, or train again"
    try:
        manifest = (folder / MANIFEST).read_bytes()
        expected = dict(json.loads(manifest)["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        raise TrackingError(
            f"no readable {MANIFEST} in {folder}", "the checksums of the model's files", hint
        ) from None
    if digest is not None and hashlib.sha256(manifest).hexdigest() != digest:
        raise TrackingError(
            f"another {MANIFEST} in {folder} than the one that was logged",
            f"the one with the SHA-256 {digest}, which the tracking store holds",
            hint,
        )
    files = {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir())
        if file.is_file() and file.name != MANIFEST
    }
    found = _checksums(files)
    if found != expected:
        names = sorted(
            name for name in {*expected, *found} if expected.get(name) != found.get(name)
        )
        raise TrackingError(
            f"changed, missing or added model files {', '.join(names)} in {folder}",
            f"the files whose SHA-256 {MANIFEST} holds",
            hint,
        )
    return files


class LoadedStoreModel:
    """What `mlflow.pyfunc.load_model` gives for a store: `predict` in the output contract."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Forecast the store.

        Args:
            model_input: column `horizon` (days ahead, from 1) and/or `date`; neither, or no rows:
                every day of the horizon.

        Returns:
            One row per day, columns of the output contract, `date` as ISO text.
        """
        return self._model.predict(model_input)


def _load_pyfunc(data_path: str) -> LoadedStoreModel:
    """MLflow's entry point, named in the `MLmodel` file."""
    from lifemiles_forecasting.core.store_model import StoreModel

    return LoadedStoreModel(StoreModel.from_files(read_files(Path(data_path))))
