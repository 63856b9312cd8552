"use strict";
// Sums over what is chosen. Partners and countries are sums over all of their stores, made in Python;
// anything narrower is summed here over the stores that the page lists.
const sums = (() => {
  const { data, days, plus } = base;
  const H = data.horizon;
  const BACK = 7 * data.weeks;
  const testStart = plus(data.first_day, -H);

  // what both kinds of summands have: values of the days before, of the days ahead and of the test window
  for (const cell of data.totals.cells) {
    Object.assign(cell, { recent: cell.history.slice(-BACK), summands: cell.stores });
  }
  for (const row of state.rows) {
    const actual = row.tested && row.recent.slice(BACK - H);
    Object.assign(row, { partner: row.partner_code, summands: 1, actual, expected: row.tested,
      missed: row.tested && row.tested.map((value, i) => Math.abs(value - actual[i])) });
  }

  const add = (into, values, from = 0) => { for (let i = 0; i < into.length; i += 1) into[i] += values[from + i] ?? 0; };
  const zeros = (n) => new Array(n).fill(0);
  const empty = () => ({ stores: 0, tested: 0, before: zeros(H), next: zeros(H), actual: zeros(H), expected: zeros(H), missed: zeros(H) });
  const put = (group, one) => {
    group.stores += one.summands;
    add(group.before, one.recent);
    add(group.next, one.forecast);
    if (!one.expected) return;
    group.tested += one.tested.length ? 1 : one.tested;
    for (const name of ["actual", "expected", "missed"]) add(group[name], one[name]);
  };

  const within = (values, { a, b }) => {
    let total = 0;
    for (let i = a; i < b; i += 1) total += values[i] ?? 0;
    return total;
  };

  // by partner and in all; daily, so that dates can be chosen
  const collect = (rows) => {
    const { partner, country } = state.chosen;
    const parts = state.narrow() ? rows : data.totals.cells.filter((cell) =>
      (!partner || cell.partner === partner) && (!country || cell.country === country));
    const total = empty();
    const partners = new Map();
    for (const one of parts) {
      if (!partners.has(one.partner)) partners.set(one.partner, empty());
      put(total, one);
      put(partners.get(one.partner), one);
    }
    return { total, partners, parts };
  };

  // sums over the chosen days
  const summary = (group, ahead, test) => {
    const before = data.comparable ? within(group.before, ahead) : null;
    const next = within(group.next, ahead);
    const [sold, expected, missed] = ["actual", "expected", "missed"].map((name) => within(group[name], test));
    return { stores: group.stores, tested: group.tested, before, next, change: before === null ? null : base.change(before, next),
      sold, expected, error: base.change(sold, expected), wape: sold > 0 ? 100 * missed / sold : null };
  };

  // history of the total: a year where every store that is chosen has it in the page, else the last weeks
  const history = (parts, series) => {
    if (!state.narrow()) {
      const values = zeros(parts.length ? parts[0].history.length : 0);
      for (const cell of parts) add(values, cell.history);
      return { start: data.totals.start, values };
    }
    const all = parts.length > 0 && parts.every((row) => Object.hasOwn(series().stores, row.store_id));
    if (!all) {
      const values = zeros(BACK);
      for (const row of parts) add(values, row.recent);
      return { start: plus(data.first_day, -BACK), values };
    }
    const start = series().start;
    const values = zeros(Math.round((Date.parse(data.first_day) - Date.parse(start)) / 864e5));
    for (const row of parts) {
      const { o, h } = series().stores[row.store_id];
      for (let i = 0; i < h.length; i += 1) values[o + i] += h[i];
    }
    return { start, values };
  };

  // what was measured of this very total; null where the choice is narrower than partner and country
  const measured = () => {
    if (state.narrow()) return null;
    const { partner, country } = state.chosen;
    const own = data.totals.cells.filter((cell) => !partner || cell.partner === partner);
    const place = own.every((cell) => cell.country === country) ? "" : country; // all of it is there
    return data.bands.find((band) => band.partner === partner && band.country === place) || null;
  };

  return { H, BACK, testStart, testDays: days(testStart, H), aheadDays: days(data.first_day, H),
    collect, summary, within, history, measured };
})();
