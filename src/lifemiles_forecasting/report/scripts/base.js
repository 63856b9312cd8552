"use strict";
// The data, the words and the way that numbers and dates are written.
// Values from the data reach the page through textContent only; Plotly, which reads a kind of HTML,
// gets numbers and texts of our own, or labels that Python has escaped. Nothing asks the network.
const base = (() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const t = data.texts;

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
  const named = (kind, value) => t[`${kind}_${value}`] || value.replaceAll("_", " ");
  const number = (value, digits = 0, unit = "") => value === null || !Number.isFinite(value) ? "–" :
    (Number(value.toFixed(digits)) || 0).toLocaleString(t.locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })
      .replace("-", "−") + unit;
  const percent = (value) => number(value, 1, "\u00a0%");
  // with its sign, as Python writes it: -0.04 is 0.0 and has none
  const signed = (value) => value !== null && Number(value.toFixed(1)) > 0 ? `+${percent(value)}` : percent(value);
  const change = (before, after) => before > 0 ? 100 * (after / before - 1) : null;
  // digits that a column of such numbers needs
  const digitsFor = (values) => {
    const largest = Math.max(0, ...values.map((value) => Math.abs(value ?? 0)));
    return largest >= 1000 ? 0 : largest >= 100 ? 1 : 2;
  };

  const DAY = 864e5;
  const plus = (day, n) => new Date(Date.parse(`${day}T00:00:00Z`) + n * DAY).toISOString().slice(0, 10);
  const days = (start, n) => Array.from({ length: n }, (_, i) => plus(start, i));
  const written = (day) => t.date_format.replace("%Y", day.slice(0, 4)).replace("%m", day.slice(5, 7)).replace("%d", day.slice(8));

  const element = (tag, text = "", name = "") => {
    const node = document.createElement(tag);
    node.textContent = text;
    if (name) node.className = name;
    return node;
  };
  // a row of a table: the first cell is its head, numbers stand on the right
  const row = (cells, numeric, name = "") => {
    const line = element("tr", "", name);
    cells.forEach((cell, i) => {
      const node = cell instanceof Node ? cell : element(i ? "td" : "th", cell, numeric[i] ? "n" : "");
      if (!i) node.scope = "row";
      line.append(node);
    });
    return line;
  };
  const head = (labels, numeric) => {
    const line = element("tr");
    labels.forEach((label, i) => {
      const node = element("th", label, numeric[i] ? "n" : "");
      node.scope = "col";
      line.append(node);
    });
    return line;
  };

  const partnerName = new Map(Object.entries(data.totals.names));
  const partnerLabel = (code) => [code, partnerName.get(code)].filter(Boolean).join(" · ");

  return { byId, data, t, fill, named, number, percent, signed, change, digitsFor, plus, days, written,
    element, row, head, partnerLabel };
})();
