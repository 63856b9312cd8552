"use strict";
// What is chosen: kept in the address behind #, so that a view can be sent on.
const state = (() => {
  const { byId, data, t, plus, element, partnerLabel, named } = base;
  // order of the values in a row of the data
  const FACTS = ["store_id", "partner_code", "store_name", "city", "country", "store_class", "status",
    "reason", "quality", "champion", "test_r2", "test_smape", "test_wape", "recent", "tested", "forecast"];
  const rows = data.rows.map((values) => Object.fromEntries(FACTS.map((name, i) => [name, values[i]])));
  // as one searches: without accents, in small letters
  const plain = (text) => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
  rows.forEach((row, i) => {
    row.haystack = plain([row.store_id, row.store_name, row.city, partnerLabel(row.partner_code)].join("\n"));
    data.weights.candidates.forEach((name, k) => {
      row[`weight_${name}`] = data.weights.rows[i] ? data.weights.rows[i][k] : null;
    });
  });
  const rowOf = new Map(rows.map((row) => [row.store_id, row]));

  const FIELDS = ["partner", "country", "q", "from", "to", "quality", "status", "view"];
  const DEFAULTS = { partner: "", country: "", q: "", from: "", to: "", quality: "", status: "",
    view: "sales", store: "", by: "forecast_total", up: "", page: "0" };
  const chosen = { ...DEFAULTS };

  // days that the page knows anything of
  const firstDay = data.totals.start;
  const lastDay = plus(data.first_day, data.horizon - 1);

  // the days [a, b) of n days from `start` that are asked for; all of them where none is
  const span = (start, n) => {
    const from = chosen.from || firstDay;
    const to = chosen.to || lastDay;
    const inside = base.days(start, n).map((day) => from <= day && day <= to);
    const a = inside.indexOf(true);
    return a < 0 ? { a: 0, b: n, all: true, missed: true } :
      { a, b: inside.lastIndexOf(true) + 1, all: !inside.includes(false), missed: false };
  };

  // narrower than partners and countries, whose sums are in the page
  const narrow = () => Boolean(chosen.q.trim() || chosen.quality || chosen.status);
  const selected = () => {
    const words = plain(chosen.q).split(/\s+/).filter(Boolean);
    const wanted = [["partner_code", "partner"], ["country", "country"], ["quality", "quality"], ["status", "status"]]
      .map(([column, key]) => [column, chosen[key]]).filter(([, value]) => value);
    return rows.filter((row) => words.every((word) => row.haystack.includes(word)) &&
      wanted.every(([column, value]) => row[column] === value));
  };

  const sortable = (by) => ["before", "forecast_total", "change", ...FACTS.slice(0, -3)].includes(by) ||
    data.weights.candidates.some((name) => by === `weight_${name}`);
  const valid = { from: (day) => /^\d{4}-\d{2}-\d{2}$/.test(day), to: (day) => /^\d{4}-\d{2}-\d{2}$/.test(day),
    page: (page) => /^\d+$/.test(page), by: sortable };
  const read = () => {
    const given = new URLSearchParams(window.location.hash.slice(1));
    for (const [key, usual] of Object.entries(DEFAULTS)) {
      const value = given.get(key) ?? usual;
      chosen[key] = valid[key] && value && !valid[key](value) ? usual : value;
    }
    for (const id of FIELDS) {
      byId(id).value = chosen[id];
      // an address may ask for what this report does not have
      if (byId(id).value !== chosen[id]) byId(id).value = chosen[id] = DEFAULTS[id];
    }
  };
  const write = () => {
    const given = Object.entries(chosen).filter(([key, value]) => value !== DEFAULTS[key]);
    const address = new URLSearchParams(given).toString();
    history.replaceState(null, "", address || window.location.hash ? `#${address}` : window.location.href);
  };
  const reset = () => {
    for (const id of FIELDS.filter((field) => field !== "view")) byId(id).value = chosen[id] = DEFAULTS[id];
    chosen.page = "0";
  };

  const options = (id, values, label) => byId(id).append(...values.map((value) => {
    const option = element("option", label(value));
    option.value = value;
    return option;
  }));
  const unique = (values) => [...new Set(values.filter(Boolean))].sort((a, b) => a.localeCompare(b));
  const countries = unique(data.totals.cells.map((cell) => cell.country));
  const tiers = new Set(rows.map((row) => row.quality));
  options("partner", unique(data.totals.cells.map((cell) => cell.partner)), partnerLabel);
  options("country", countries, (country) => country);
  options("quality", Object.keys(data.tiers).filter((tier) => tiers.has(tier)), (tier) => tier);
  options("status", unique(rows.map((row) => row.status)), (status) => named("status", status));
  for (const id of ["from", "to"]) Object.assign(byId(id), { min: firstDay, max: lastDay });

  // what is chosen, in words: for the count beside "Filters", for print and for screen readers
  const told = () => [
    chosen.partner && `${t.partner}: ${chosen.partner}`, chosen.country && `${t.country}: ${chosen.country}`,
    chosen.q.trim() && `${t.search}: ${chosen.q.trim()}`, chosen.from && `${t.from} ${base.written(chosen.from)}`,
    chosen.to && `${t.to} ${base.written(chosen.to)}`, chosen.quality && `${t.quality}: ${chosen.quality}`,
    chosen.status && `${t.status}: ${named("status", chosen.status)}`].filter(Boolean);

  return { rows, rowOf, countries, FACTS, FIELDS, chosen, firstDay, lastDay, span, narrow, selected, read, write, reset, told };
})();
