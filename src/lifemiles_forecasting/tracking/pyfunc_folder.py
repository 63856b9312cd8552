"""What MLflow would run when it loads a model folder, found out without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lifemiles_forecasting.core.errors import TrackingError

MLMODEL = "MLmodel"
_FLAVOR = "python_function"
# of the flavor: these are read and never run
_PLAIN = {"data", "env", "python_version", "streamable"}


def check_pyfunc(folder: Path, loader_module: str, data: str) -> None:
    """Make sure that MLflow would load a folder with our own module and nothing else.

    The file `MLmodel` names the module that MLflow imports and calls, and may bring code along.
    The checksums of the model's files do not cover it.

    Args:
        folder: of the model, as it was logged.
        loader_module: the module that is to load it.
        data: what that is handed, relative to the folder.

    Raises:
        TrackingError: there is no `MLmodel`, or it names other code.
    """
    expected = {"loader_module": loader_module, "data": data}
    flavors = _flavors(folder / MLMODEL)
    flavor = flavors.get(_FLAVOR)
    named = dict(flavor) if isinstance(flavor, dict) else {}
    if any(named.get(key) != value for key, value in expected.items()):
        problem = f"is loaded by {named.get('loader_module')!r} from {named.get('data')!r}"
    elif set(flavors) != {_FLAVOR}:
        problem = f"has the flavors {', '.join(sorted(map(str, flavors)))}"
    elif more := sorted(
        str(key)
        for key, value in named.items()
        if key not in {*expected, *_PLAIN} and value is not None
    ):
        problem = f"brings {', '.join(more)} along"
    else:
        return
    raise TrackingError(
        f"a model that {problem} ({MLMODEL} in {folder})",
        f"one that {loader_module} loads from {data}, with no code of its own",
        "Somebody else wrote this file: train again, and look at who may write there",
    )


def _flavors(file: Path) -> dict[Any, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text("utf-8"))
        return dict(content["flavors"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        raise TrackingError(
            f"no readable {MLMODEL} in {file.parent}", "the one that MLflow wrote"
        ) from None
