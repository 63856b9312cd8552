"""Settings of models that are fitted in a moment, for runs whose accuracy is not what is tested."""

from __future__ import annotations

from typing import Any

TREES = {"small": 10, "large": 20}
DEPTH = 3
LEARNERS = ("direct", "recursive", "local_catboost")


def small_models() -> dict[str, Any]:
    """Of the group `modeling`."""
    sizes = {size: {"iterations": trees, "depth": DEPTH} for size, trees in TREES.items()}
    return {learner: {"sizes": sizes} for learner in LEARNERS}


def as_parameters() -> str:
    """The same for `--params`."""
    return ",".join(
        f"modeling.{learner}.sizes.{size}.{name}={value}"
        for learner, group in small_models().items()
        for size, settings in group["sizes"].items()
        for name, value in settings.items()
    )
