"""The peers: what they are called, of which kind they are, and where they run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent
NAIVE, STATISTICAL, LOCAL, GLOBAL, AUTOML = (
    "naive",
    "statistical",
    "per store",
    "global boosting",
    "AutoML",
)
TO_BEAT = (NAIVE, LOCAL, GLOBAL)  # kinds that must be beaten; the others must not be better


@dataclass(frozen=True)
class Peer:
    """One method to compare with.

    Attributes:
        script: file in `peers/`.
        kind: of method.
        environment: folder of its virtual environment in the project.
    """

    script: str
    kind: str
    environment: str = ".venv-peers"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return PROJECT / self.environment / "bin/python"

    @property
    def available(self) -> bool:
        """Whether its environment has been made, completely."""
        return (PROJECT / self.environment / ".installed").exists()


PEERS = {
    "seasonal naive 7": Peer("naive.py", NAIVE),
    "window average 8": Peer("naive.py", NAIVE),
    "window average 13": Peer("naive.py", NAIVE),
    "AutoETS": Peer("statistical.py", STATISTICAL),
    "DynamicOptimizedTheta": Peer("statistical.py", STATISTICAL),
    "local random forest": Peer("forest.py", LOCAL),
    "LightGBM 500 x 63": Peer("boosting.py", GLOBAL),
    "LightGBM 200 x 8": Peer("boosting.py", GLOBAL),
    "CatBoost 1000 x 6": Peer("boosting.py", GLOBAL),
    "CatBoost 300 x 4": Peer("boosting.py", GLOBAL),
    "skforecast": Peer("recursive.py", GLOBAL),
    "AutoGluon": Peer("autogluon_series.py", AUTOML, ".venv-autogluon"),
    "AutoGluon RMSE": Peer("autogluon_series.py", AUTOML, ".venv-autogluon"),
}
