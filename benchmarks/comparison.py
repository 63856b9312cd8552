"""Ours and every peer on one panel, one protocol and one run: a section of RESULTS.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bootstrap
import pandas as pd
import registry
import runner
import scores
from panels import Panel

from lifemiles_forecasting.core.backtest import BLEND
from lifemiles_forecasting.core.series import Series

ATTEMPTED = 56  # active days from which a store has models of its own
FEW = 10  # stores; an interval over fewer says nothing


@dataclass(frozen=True)
class Comparison:
    """Everything that the tables are made from.

    Attributes:
        windows: errors of every method, see `scores.store_windows`.
        stores: `store_id` as index, with partner, class and active days.
        runs: what each process took, by peer and "ours".
        skipped: peers whose environment is not there.
    """

    windows: pd.DataFrame
    stores: pd.DataFrame
    runs: dict[str, runner.Run]
    skipped: list[str]


def run(panel: Panel, folder: Path, fresh: bool, peers: dict[str, registry.Peer]) -> Comparison:
    """Run ours and the peers one after another and score them."""
    job = runner.write_job(folder / "job", panel.panel, panel.stores)
    runs = {"ours": runner.run_ours(job, folder / "ours")}
    skipped = [name for name, peer in peers.items() if not peer.available]
    for name, peer in peers.items():
        if name not in skipped:
            runs[name] = runner.run_peer(name, peer, job, fresh)
    series = Series.from_frames(panel.panel, panel.stores)
    enough = series.stores["active_days"].to_numpy() >= ATTEMPTED
    forecasts = pd.concat([run.forecasts for run in runs.values()], ignore_index=True)
    windows = scores.store_windows(series.take(enough.nonzero()[0]), forecasts, runner.HORIZON)
    return Comparison(windows, panel.stores.set_index("store_id"), runs, skipped)


def section(panel: Panel, folder: Path, fresh: bool = False) -> str:
    """The section of RESULTS.md."""
    peers = {name: peer for name, peer in registry.PEERS.items() if name not in panel.without}
    return render(panel, run(panel, folder, fresh, peers))


def render(panel: Panel, made: Comparison) -> str:
    """The tables of a comparison as Markdown."""
    busy = made.stores.index[made.stores["active_days"] >= panel.min_active]
    windows = made.windows[made.windows["store_id"].isin(busy)]
    differences = bootstrap.compare(_without_candidates(windows), BLEND)
    parts = [
        _about(panel, windows, made),
        _main_table(windows, made).to_markdown(),
        "Ours minus the peer, 95 % interval of a paired bootstrap over stores "
        f"({bootstrap.DRAWS:,} draws); better and worse are said of ours where 0 is outside.",
        _differences(differences).to_markdown(),
        _verdict(differences, scores.table(windows)),
        "By group: ours / the best peer, and the peers that are significantly better there.",
        _groups(made, panel.min_active).to_markdown(index=False),
        "WAPE / bias by window.",
        scores.by_window(windows).to_markdown(),
    ]
    return "\n\n".join(parts)


def _peers_of(windows: pd.DataFrame) -> list[str]:
    return [name for name in windows["method"].unique() if name in registry.PEERS]


def _without_candidates(windows: pd.DataFrame) -> pd.DataFrame:
    return windows[windows["method"].isin([BLEND, *_peers_of(windows)])]


def _about(panel: Panel, windows: pd.DataFrame, made: Comparison) -> str:
    """What was measured on what, and what is missing."""
    origins = ", ".join(f"{origin:%Y-%m-%d}" for origin in sorted(windows["origin"].unique()))
    pairs = len(windows) // windows["method"].nunique()
    filled = windows.groupby("method", sort=False)["filled"].sum()
    gaps = ", ".join(f"{name} {n}" for name, n in filled[filled > 0].items()) or "none"
    kept = ", ".join(f"{name} {run.measured}" for name, run in made.runs.items() if run.kept)
    ours = made.runs["ours"].notes
    chosen = f" with at least {panel.min_active} active days" if panel.min_active else ""
    covered = " and ".join(f"{share:.1f} % at {level}" for level, share in ours["covered"].items())
    lines = [
        f"{windows['store_id'].nunique()} stores{chosen}, {pairs} store-windows of "
        f"{runner.HORIZON} days after {origins}; {panel.about} Percent, but R2 and MASE.",
        f"Everybody had {runner.THREADS} threads or processes, the same stores, holidays and "
        "windows; forecasts below 0 are cut at 0. CPU seconds are of all windows together, ours "
        "with the choice of sizes, one window more and the refit; memory is of all processes.",
        f"Store-windows that a method left out and our base filled: {gaps}.",
        f"Skipped, as the optional environment is not there: {', '.join(made.skipped)}."
        if made.skipped
        else "No peer was skipped.",
        *(
            [f"Left out for their cost, over half an hour each: {', '.join(panel.without)}."]
            if panel.without
            else []
        ),
        f"Kept from an earlier run on the same data: {kept}." if kept else "All in one run.",
        f"Ours chose the sizes {ours['sizes']}. Coverage of the test window over all "
        f"{ours['attempted']} attempted stores with intervals calibrated before it: {covered}.",
    ]
    return "\n".join(lines)


def _main_table(windows: pd.DataFrame, made: Comparison) -> pd.DataFrame:
    figures = scores.table(windows).round(3)
    kinds = {name: peer.kind for name, peer in registry.PEERS.items()}
    figures.insert(0, "kind", [kinds.get(name, "candidate of ours") for name in figures.index])
    figures.loc[BLEND, "kind"] = "**ours**"
    took = {BLEND: made.runs["ours"]} | made.runs
    for title, field in {"CPU s": "cpu", "peak MB": "peak_mb"}.items():
        figures[title] = [
            f"{getattr(took[name], field):.0f}" if name in took else "" for name in figures.index
        ]
    return figures.sort_values("WAPE")


def _differences(differences: pd.DataFrame) -> pd.DataFrame:
    def text(gap: bootstrap.Difference) -> str:
        verdict = "" if gap.verdict == bootstrap.EVEN else f" {gap.verdict}"
        return f"{gap.value:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]{verdict}"

    return differences.map(text)


def _verdict(differences: pd.DataFrame, figures: pd.DataFrame) -> str:
    """What was to be reached, and for whom it was not."""
    verdicts = differences.map(lambda gap: gap.verdict)
    worse = _named(verdicts == bootstrap.WORSE, figures["bias"])
    to_beat = [n for n in verdicts.index if registry.PEERS[n].kind in registry.TO_BEAT]
    unbeaten = _named(verdicts.loc[to_beat] != bootstrap.BETTER)
    others = _named(verdicts.drop(index=to_beat) != bootstrap.BETTER)
    return "\n".join(
        [
            f"- Peers that are significantly better: {worse}.",
            f"- Naive, per-store and global-boosting peers not significantly beaten: {unbeaten}.",
            f"- Other peers not significantly beaten: {others}.",
            f"- Bias of ours: {figures.loc[BLEND, 'bias']:+.2f} %.",
        ]
    )


def _named(flags: pd.DataFrame, bias: pd.Series | None = None) -> str:
    """`peer (metrics)` for every row with a flag, with its bias where that is given."""
    said = []
    for name, row in zip(flags.index, flags.to_numpy(bool), strict=True):
        if row.any():
            # a low WAPE can be bought with bias
            beside = "" if bias is None else f", bias {bias[name]:+.1f} %"
            said.append(f"{name} ({', '.join(flags.columns[row])}{beside})")
    return ", ".join(said) or "none"


def _groups(made: Comparison, min_active: int) -> pd.DataFrame:
    """One row per class and partner of the scored stores, and one for the stores below them."""
    busy = made.stores["active_days"] >= min_active
    members = {
        f"{column.removeprefix('store_').removesuffix('_code')} {value}": part.index
        for column in ("store_class", "partner_code")
        for value, part in made.stores[busy].groupby(column)
    }
    if min_active:
        members[f"under {min_active} active days"] = made.stores.index[~busy]
    rows = []
    for name, ids in members.items():
        part = made.windows[made.windows["store_id"].isin(ids)]
        if len(part):
            rows.append({"group": name} | _group(_without_candidates(part)))
    return pd.DataFrame(rows)


def _group(windows: pd.DataFrame) -> dict:
    figures = scores.table(windows)
    peers = figures.drop(index=BLEND)
    row = {"stores": windows["store_id"].nunique()}
    for metric in bootstrap.METRICS:
        if peers[metric].isna().all():
            row[metric] = "nothing sold"
            continue
        best = peers[metric].idxmin()
        ours = figures.loc[BLEND, metric]
        row[metric] = f"{ours:.2f} / {peers.loc[best, metric]:.2f} {best}"
    if row["stores"] < FEW:
        return row | {"significantly better": f"fewer than {FEW} stores"}
    verdicts = bootstrap.compare(windows, BLEND).map(lambda gap: gap.verdict)
    return row | {"significantly better": _named(verdicts == bootstrap.WORSE)}
