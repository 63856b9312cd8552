"""Planned events laid out by store and day: what features and warnings are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.names import plain
from lifemiles_forecasting.core.notices import Notice

SPAN = (c.START_DATE, c.END_DATE)
MOST_NAMES = 20  # events with a feature of their own; the others share one
EVENT_PREFIX = "event"  # of every feature here
OWN = "event:"  # what the feature of an event begins with
OTHERS = "event_others"
TIMING = ("event_day", "event_days_left")  # of what began last and of what ends first, from 1 on
FAR = 30  # days; a long event is as old, and has as long to go, as this at most
STAGE = "events"
NOT_LEARNED = "event_not_learned"  # a model has it among rarer ones, or not at all
UNKNOWN_PARTNER, UNKNOWN_STORE = "unknown_partner", "unknown_store"
WITHOUT_PAST = "event_without_past"  # planned, but its effect was never seen
SHARED = "event_among_others"  # beyond MOST_NAMES


def matches(events: pd.DataFrame, stores: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which event is one of which store.

    Args:
        events: the columns of `columns.EVENTS`.
        stores: with `partner_code, store_code`.

    Returns:
        Row of the events and row of the stores of each match. An event without `partner_code`
        is one of every partner, one without `store_code` of every store.
    """
    codes = [c.PARTNER_CODE, c.STORE_CODE]
    left = events[codes].reset_index(drop=True).rename_axis("event").reset_index()
    right = stores[codes].reset_index(drop=True).rename_axis("store").reset_index()
    given = left[codes] != ""
    parts = []
    for keys in ([], codes[:1], codes[1:], codes):
        rows = left[(given == [code in keys for code in codes]).all(axis=1)]
        wanted = right.drop(columns=[code for code in codes if code not in keys])
        how = {"on": keys} if keys else {"how": "cross"}
        parts.append(rows.merge(wanted, **how)[["event", "store"]])
    found = pd.concat(parts).sort_values(["event", "store"])
    return found["event"].to_numpy(int), found["store"].to_numpy(int)


def feature_names(events: pd.DataFrame, learned: Collection[str] | None = None) -> pd.Series:
    """The feature of each event: its name's, or for the rarer names one that they share.

    Args:
        events: the columns of `columns.EVENTS`.
        learned: features that a model knows; an event of another name is one of those that share.
    """
    if learned is not None:
        known = {plain(name): name for name in learned if name.startswith(OWN)}
        return (OWN + events[c.NAME]).map(lambda name: known.get(plain(name), OTHERS))
    feature = OWN + events[c.NAME]
    counts = events[c.NAME].value_counts()
    ranked = sorted(counts.index, key=lambda name: (-counts[name], name))
    return feature.where(events[c.NAME].isin(ranked[:MOST_NAMES]), OTHERS)


def not_learned(events: pd.DataFrame, learned: Collection[str], days: np.ndarray) -> list[str]:
    """Sorted names of events on any of these days that have no feature of their own.

    Args:
        events: the columns of `columns.EVENTS`.
        learned: features that a model knows.
        days: (D,) datetime64[D], consecutive.
    """
    start, end = _span(events, days)
    others = feature_names(events, learned) == OTHERS
    return sorted(set(events[c.NAME][(end >= 0) & (start < len(days)) & others]))


def _span(events: pd.DataFrame, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last day of each event as columns of `days`; they may lie outside."""
    return tuple(
        (events[name].to_numpy().astype("datetime64[D]") - days[0]).astype(int) for name in SPAN
    )


def _groups(events: pd.DataFrame, stores: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Stores that have the same events: the first store of each group, and each store's group."""
    single = events[c.STORE_CODE] != ""
    own = np.zeros(len(stores), bool)
    own[matches(events[single], stores)[1]] = True
    partner = stores[c.PARTNER_CODE]
    shared = ("partner " + partner).where(partner.isin(events[c.PARTNER_CODE][~single]), "")
    key = ("store " + stores[c.STORE_ID]).where(own, shared).to_numpy(str)
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return first, group


@dataclass(frozen=True)
class EventDays:
    """The events of every store and day.

    Attributes:
        names: E features: one by name of event, the rarer ones' together, and the timing.
        values: (G, D, E) float32 sum of the values of what is on; stores of a group are alike.
        group: (S,) index into `values` of each store.
        shared: names that have no feature of their own, and how many stores each concerns.
    """

    names: tuple[str, ...]
    values: np.ndarray
    group: np.ndarray
    shared: Mapping[str, int]

    @classmethod
    def of(
        cls,
        events: pd.DataFrame,
        stores: pd.DataFrame,
        days: np.ndarray,
        learned: Collection[str] | None = None,
    ) -> EventDays | None:
        """Lay events out.

        Args:
            events: the columns of `columns.EVENTS`; unknown partners and stores do not matter.
            stores: S rows with `store_id, partner_code, store_code`.
            days: (D,) datetime64[D], consecutive.
            learned: features that a model knows, see `feature_names`.

        Returns:
            None where no store has an event on any of the days.
        """
        start, end = _span(events, days)
        events = events[(end >= 0) & (start < len(days))]
        events = events.iloc[np.unique(matches(events, stores)[0])]
        if events.empty:
            return None
        first, group = _groups(events, stores)
        feature = feature_names(events, learned)
        own = tuple(sorted(set(feature)))
        values = _laid_out(events, pd.Index(own).get_indexer(feature), stores.iloc[first], days)
        shared = _concerned(events[feature == OTHERS], stores)
        return cls(own + TIMING, values, group, shared)

    def of_days(self, window: slice) -> np.ndarray:
        """(S, days of the window, E) float32."""
        return self.values[:, window][self.group]

    def notices(self) -> list[Notice]:
        """A warning for every name that shares its feature."""
        return [Notice(name, STAGE, SHARED, stores) for name, stores in self.shared.items()]

    def take(self, rows: np.ndarray) -> EventDays:
        """Only these stores."""
        return replace(self, group=self.group[rows])


def _laid_out(
    events: pd.DataFrame, feature: np.ndarray, stores: pd.DataFrame, days: np.ndarray
) -> np.ndarray:
    """(stores, D, features + timing) float32.

    Args:
        events: rows that fall on some of the days.
        feature: position of each event's feature.
        stores: one of each group.
        days: (D,) datetime64[D].
    """
    row, store = matches(events, stores)
    start, end = (day[row] for day in _span(events, days))
    seen = np.maximum(start, 0)
    length = np.minimum(end, len(days) - 1) - seen + 1
    each = np.repeat(np.arange(len(row)), length)  # a match as often as it has days
    day = seen[each] + np.arange(len(each)) - np.repeat(np.cumsum(length) - length, length)
    values = np.zeros((len(stores), len(days), feature.max() + 1 + len(TIMING)), np.float32)
    amount = events[c.VALUE].to_numpy(np.float32)[row]
    np.add.at(values, (store[each], day, feature[row][each]), amount[each])
    for k, distance in ((-2, day - start[each]), (-1, end[each] - day)):
        nearest = np.full(values.shape[:2], np.inf)
        np.minimum.at(nearest, (store[each], day), np.minimum(distance + 1, FAR))
        values[:, :, k] = np.where(np.isfinite(nearest), nearest, 0)
    return values


def _concerned(events: pd.DataFrame, stores: pd.DataFrame) -> dict[str, int]:
    """How many stores each name concerns, in the order in which the names are met."""
    row, store = matches(events, stores)
    both = pd.DataFrame({c.NAME: events[c.NAME].to_numpy(object)[row], c.STORE_ID: store})
    return both.groupby(c.NAME, sort=False)[c.STORE_ID].nunique().to_dict()


def notices(
    events: pd.DataFrame, stores: pd.DataFrame, known: np.ndarray, horizon: int
) -> list[Notice]:
    """What a reader of the plan should know.

    Args:
        events: the columns of `columns.EVENTS`.
        stores: every store of the data.
        known: (D,) datetime64[D], the days of the data.
        horizon: days ahead.

    Returns:
        Warnings of partners and stores that are not in the data, and of events on days ahead that
        no store had before.
    """
    row, _ = matches(events, stores)
    matched = np.isin(np.arange(len(events)), row)
    start, end = (events[day].to_numpy().astype("datetime64[D]") for day in SPAN)
    ahead = (end > known[-1]) & (start <= known[-1] + horizon)
    seen = set(events[c.NAME][matched & (end >= known[0]) & (start <= known[-1])])
    concerned = sorted(_concerned(events[ahead], stores).items())
    new = [Notice(name, STAGE, WITHOUT_PAST, n) for name, n in concerned if name not in seen]
    return _strangers(events[~matched], stores) + new


def strangers(events: pd.DataFrame, stores: pd.DataFrame) -> list[Notice]:
    """Warnings of partners and stores of a plan that are not in the data.

    Args:
        events: the columns of `columns.EVENTS`.
        stores: every store of the data.
    """
    row, _ = matches(events, stores)
    return _strangers(events[~np.isin(np.arange(len(events)), row)], stores)


def _strangers(lost: pd.DataFrame, stores: pd.DataFrame) -> list[Notice]:
    """Warnings of events that match no store."""
    foreign = (lost[c.PARTNER_CODE] != "") & ~lost[c.PARTNER_CODE].isin(stores[c.PARTNER_CODE])
    ids = (lost[c.PARTNER_CODE] + "_" + lost[c.STORE_CODE]).str.removeprefix("_")
    found = [(name, UNKNOWN_PARTNER) for name in lost[c.PARTNER_CODE][foreign]]
    found += [(name, UNKNOWN_STORE) for name in ids[~foreign]]
    return [Notice(name, STAGE, warning, 0) for name, warning in dict.fromkeys(found)]
