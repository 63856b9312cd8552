"use strict";
// Values from the data reach the page through textContent only; Plotly, which reads a kind of HTML,
// gets numbers and texts of our own, or labels that Python has escaped. Nothing asks the network.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const t = data.texts;
  const PAGE = 25;
  const MAX_SMALL = 12;
  const COLORS = { ink: "#1b2733", grid: "#e3e8ee", actual: "#0b4f8a", soft: "#9db9d3",
    forecast: "#c2410c", test: "#7a3e9d", band80: "rgba(194,65,12,0.22)", band95: "rgba(194,65,12,0.10)" };
  // order of the values in a row of the data
  const COLUMNS = ["store_id", "partner_code", "store_name", "city", "country", "store_class",
    "status", "reason", "quality", "champion", "test_r2", "test_smape", "test_wape", "forecast_total"];
  const rows = data.rows.map((values) => Object.fromEntries(COLUMNS.map((name, i) => [name, values[i]])));
  for (const row of rows) {
    row.haystack = [row.store_id, row.store_name, row.city, row.country].join("\n").toLowerCase();
  }
  const WEIGHTS = data.weights.candidates.map((name) => `weight_${name}`);
  rows.forEach((row, i) => WEIGHTS.forEach((name, k) => {
    row[name] = data.weights.rows[i] ? data.weights.rows[i][k] : null;
  }));
  const rowOf = new Map(rows.map((row) => [row.store_id, row]));

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
  const named = (kind, value) => t[`${kind}_${value}`] || value.replaceAll("_", " ");
  const number = (value, digits = 0, unit = "") => value === null ? "–" :
    (Number(value.toFixed(digits)) || 0).toLocaleString(t.locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }) + unit;
  const element = (tag, text = "", name = "") => {
    const node = document.createElement(tag);
    node.textContent = text;
    if (name) node.className = name;
    return node;
  };

  // charts
  const config = { responsive: true, displaylogo: false, locale: document.documentElement.lang,
    modeBarButtons: [["toImage", "resetScale2d"]] };
  if (document.documentElement.lang === "es") {
    Plotly.register({ moduleType: "locale", name: "es", dictionary: {
      "Download plot as a png": "Descargar imagen", "Download plot": "Descargar imagen",
      "Reset axes": "Restablecer ejes", "Double-click to zoom back out": "Doble clic para volver" },
      format: { days: ["domingo", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado"],
        shortDays: ["dom", "lun", "mar", "mié", "jue", "vie", "sáb"],
        months: ["enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto",
          "septiembre", "octubre", "noviembre", "diciembre"],
        shortMonths: ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"],
        date: "%d/%m/%Y", decimal: ",", thousands: "." } });
  }
  const layout = () => ({
    template: "none", font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif", size: 13, color: COLORS.ink },
    margin: { l: 60, r: 16, t: 34, b: 44 }, height: 400, hovermode: "x unified",
    separators: t.decimal + t.thousands, paper_bgcolor: "white", plot_bgcolor: "white",
    legend: { orientation: "h", x: 0, y: -0.14, yanchor: "top", traceorder: "normal" },
    xaxis: { type: "date", gridcolor: COLORS.grid, linecolor: COLORS.grid, hoverformat: t.date_format, tickformat: t.tick_format, tickangle: 0, nticks: window.innerWidth < 700 ? 4 : 9 },
    yaxis: { gridcolor: COLORS.grid, zerolinecolor: COLORS.grid, rangemode: "tozero", tickformat: ",~r", automargin: true,
      title: { text: data.target, standoff: 8 } },
  });
  const days = (start, n, skip = 0) => {
    const first = Date.parse(start + "T00:00:00Z");
    return Array.from({ length: n }, (_, i) => new Date(first + (i + skip) * 864e5).toISOString().slice(0, 10));
  };
  const line = (x, y, name, color, extra = {}) => ({ type: "scatter", mode: "lines", x, y, name,
    line: { color, width: 1.8, ...extra.line }, hovertemplate: "%{y:,.2f}", ...extra.trace });
  const weekMean = (y) => y.map((_, i) => i < 6 ? null : y.slice(i - 6, i + 1).reduce((a, b) => a + b) / 7);
  const sum = (parts) => parts[0].map((_, i) => parts.reduce((total, part) => total + part[i], 0));
  const today = (day) => ({ shapes: [{ type: "line", x0: day, x1: day, yref: "paper", y0: 0, y1: 1,
    line: { color: "#8794a1", width: 1, dash: "dot" } }] });

  const drawTotal = (code) => {
    const chosen = data.totals.partners.filter((partner) => !code || partner.code === code);
    if (!chosen.length) return;
    const history = sum(chosen.map((partner) => partner.history));
    const forecast = sum(chosen.map((partner) => partner.forecast));
    const past = days(data.totals.history_start, history.length);
    Plotly.react("chart-total", [
      line(past, history, t.history, COLORS.soft, { line: { width: 1 } }),
      line(past, weekMean(history), t.history_mean, COLORS.actual, { line: { width: 2.2 } }),
      line(days(data.totals.forecast_start, forecast.length), forecast, t.forecast, COLORS.forecast, { line: { width: 2.2 } }),
    ], { ...layout(), ...today(data.totals.forecast_start) }, config);
  };

  // one small chart per partner; the others are in the table and in the list above
  const drawPartners = () => {
    const shown = data.totals.partners.slice(0, MAX_SMALL);
    // all of them first: a chart takes the width that its column has when it is drawn
    const charts = shown.map((partner) => {
      const figure = element("figure");
      const chart = element("div", "", "chart small");
      chart.setAttribute("role", "img");
      chart.setAttribute("aria-label", `${t.partners_title}: ${partner.code}`);
      figure.append(element("figcaption", partnerLabel(partner.code)), chart);
      byId("partner-grid").append(figure);
      return chart;
    });
    shown.forEach((partner, i) => {
      const past = days(data.totals.history_start, partner.history.length);
      const full = layout();
      Object.assign(full, { height: 210, showlegend: false, margin: { l: 48, r: 8, t: 8, b: 32 } });
      full.xaxis.nticks = 4;
      full.yaxis.title = undefined;
      full.yaxis.nticks = 4;
      Plotly.newPlot(charts[i], [line(past.slice(-120), partner.history.slice(-120), t.history, COLORS.actual, { line: { width: 1.4 } }),
        line(days(data.totals.forecast_start, partner.forecast.length), partner.forecast, t.forecast, COLORS.forecast)],
      full, { ...config, displayModeBar: false });
    });
  };

  let series = null; // the largest part of the page: read when the first store is asked for
  const drawStore = (id) => {
    series = series || JSON.parse(byId("series").textContent);
    const row = rowOf.get(id);
    const one = Object.hasOwn(series.stores, id) ? series.stores[id] : null;
    const note = byId("picker-note");
    const chart = byId("chart-store");
    chart.hidden = !one;
    if (!one) {
      note.textContent = fill(t.not_embedded, { n: number(data.maxSeries) });
      return;
    }
    note.textContent = [row.store_id, row.store_name, row.partner_code, named("status", row.status), row.reason,
      row.quality, row.test_wape === null ? "" : `${t.wape} ${number(row.test_wape, 1, "\u00a0%")}`,
      `${t.forecast} ${number(row.forecast_total)}`].filter(Boolean).join(" · ");
    const ahead = days(series.forecast_start, one.f.length);
    const band = (lower, upper, name, color) => [
      line(ahead, lower, name, color, { line: { width: 0 }, trace: { showlegend: false, hoverinfo: "skip", hovertemplate: null } }),
      line(ahead, upper, name, color, { line: { width: 0 }, trace: { fill: "tonexty", fillcolor: color, hoverinfo: "skip", hovertemplate: null } })];
    const traces = [...band(one.b[2], one.b[3], t.band_95, COLORS.band95), ...band(one.b[0], one.b[1], t.band_80, COLORS.band80),
      line(days(series.start, one.h.length, one.o), one.h, t.history, COLORS.actual, { line: { width: 1.4 } })];
    if (one.t) traces.push(line(days(series.test_start, one.t.length), one.t, t.test_forecast, COLORS.test, { line: { dash: "dot", width: 2 } }));
    traces.push(line(ahead, one.f, t.forecast, COLORS.forecast, { line: { width: 2.2 } }));
    const full = layout();
    // the last months are what one compares; the whole history is a double click away
    const from = new Date(Date.parse(series.forecast_start) - 119 * 864e5).toISOString().slice(0, 10);
    full.xaxis.range = [from, ahead[ahead.length - 1]];
    Plotly.react("chart-store", traces, { ...full, ...today(series.forecast_start) }, config);
    chart.setAttribute("aria-label", `${t.stores_title}: ${id}`);
  };

  // table
  const HEADS = {
    accuracy: [["store_id", t.store], ["partner_code", t.partner], ["quality", t.quality], ["test_r2", "R²"],
      ["test_smape", "SMAPE"], ["test_wape", t.wape], ["forecast_total", t.forecast], ["status", t.status]],
    weights: [["store_id", t.store], ["partner_code", t.partner], ["champion", t.champion],
      ...data.weights.candidates.map((name) => [`weight_${name}`, named("candidate", name)]), ["status", t.status]],
  };
  const NUMBERS = new Set(["test_r2", "test_smape", "test_wape", "forecast_total", ...WEIGHTS]);
  const state = { view: "accuracy", page: 0, by: "forecast_total", up: false, chosen: "", shown: rows };
  const compare = (a, b) => {
    const [x, y] = [a[state.by], b[state.by]];
    // what is missing stays at the end in both directions
    if (x === y) return 0;
    if (x === null || x === "") return 1;
    if (y === null || y === "") return -1;
    const order = NUMBERS.has(state.by) ? x - y : x.localeCompare(y);
    return state.up ? order : -order;
  };
  const filtered = () => {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = [["partner_code", "partner"], ["quality", "quality"], ["status", "status"]]
      .map(([column, id]) => [column, byId(id).value]).filter(([, value]) => value);
    return rows.filter((row) => words.every((word) => row.haystack.includes(word)) &&
      wanted.every(([column, value]) => row[column] === value));
  };
  const percent = (value) => number(value, 1, "\u00a0%");
  const tierOf = (row) => {
    const tier = element("td", row.quality ? "" : "–");
    if (row.quality) {
      const label = element("span", row.quality, "tier");
      label.style.setProperty("--tier", data.tiers[row.quality] || "#8794a1");
      tier.append(label);
    }
    return tier;
  };
  // what stands between partner and status
  const CELLS = {
    accuracy: (row) => [tierOf(row), element("td", number(row.test_r2, 2), "n"), element("td", percent(row.test_smape), "n"),
      element("td", percent(row.test_wape), "n"), element("td", number(row.forecast_total), "n")],
    weights: (row) => [element("td", row.champion ? named("candidate", row.champion) : "–"),
      ...WEIGHTS.map((name) => element("td", row[name] === null ? "–" : percent(100 * row[name]),
        name === `weight_${row.champion}` ? "n best" : "n"))],
  };
  const tableRow = (row) => {
    const line_ = element("tr", "", row.store_id === state.chosen ? "chosen" : "");
    const head = element("th");
    head.scope = "row";
    const pick = element("button", row.store_id);
    pick.type = "button";
    pick.addEventListener("click", () => choose(row.store_id, true));
    head.append(pick, element("span", [row.store_name, row.city].filter(Boolean).join(" · "), "sub"));
    const status = element("td", named("status", row.status));
    if (row.reason) status.append(element("span", row.reason, "sub"));
    line_.append(head, element("td", row.partner_code), ...CELLS[state.view](row), status);
    return line_;
  };
  const drawTable = () => {
    state.shown = filtered().sort(compare);
    const pages = Math.max(1, Math.ceil(state.shown.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    const part = state.shown.slice(state.page * PAGE, (state.page + 1) * PAGE);
    byId("store-table").tBodies[0].replaceChildren(...part.map(tableRow));
    byId("shown").textContent = state.shown.length ?
      fill(t.shown, { n: number(state.shown.length), total: number(rows.length) }) : t.no_match;
    byId("page").textContent = fill(t.page, { page: number(state.page + 1), pages: number(pages) });
    byId("previous").disabled = state.page === 0;
    byId("next").disabled = state.page >= pages - 1;
    byId("download").disabled = !state.shown.length;
    for (const head of byId("store-table").tHead.rows[0].cells) {
      head.ariaSort = head.dataset.by === state.by ? (state.up ? "ascending" : "descending") : "none";
      head.firstChild.textContent = head.dataset.label + (head.dataset.by === state.by ? (state.up ? " ▲" : " ▼") : "");
    }
  };
  const drawHeads = () => {
    const heads = HEADS[state.view].map(([by, label]) => {
      const head = element("th", "", NUMBERS.has(by) ? "n" : "");
      head.scope = "col";
      Object.assign(head.dataset, { by, label });
      const button = element("button", label);
      button.type = "button";
      button.title = fill(t.sort, { column: label });
      button.addEventListener("click", () => {
        state.up = state.by === by ? !state.up : !NUMBERS.has(by);
        state.by = by;
        drawTable();
      });
      head.append(button);
      return head;
    });
    byId("store-table").tHead.rows[0].replaceChildren(...heads);
  };
  const choose = (id, scroll) => {
    state.chosen = id;
    byId("picker").value = id;
    drawStore(id);
    for (const row of byId("store-table").tBodies[0].rows) {
      row.classList.toggle("chosen", row.cells[0].firstChild.textContent === id);
    }
    if (scroll) byId("stores").scrollIntoView({ block: "start" });
  };

  const show = (view) => {
    state.view = byId("view").value = view;
    drawHeads();
  };

  // a spreadsheet takes a text that starts like this for a formula
  const cell = (value) => {
    if (typeof value === "number") return String(value);
    const text = String(value ?? "");
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const download = () => {
    const columns = [...COLUMNS, ...WEIGHTS];
    const lines = [columns, ...state.shown.map((row) => columns.map((name) => row[name]))]
      .map((values) => values.map(cell).join(","));
    const link = element("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
    link.download = "store_metrics.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  const options = (id, values, label) => byId(id).append(...values.map((value) => {
    const option = element("option", label(value));
    option.value = value;
    return option;
  }));
  const unique = (column) => [...new Set(rows.map((row) => row[column]).filter(Boolean))].sort();
  const partnerName = new Map(data.totals.partners.map((partner) => [partner.code, partner.name]));
  const partnerLabel = (code) => [code, partnerName.get(code)].filter(Boolean).join(" · ");
  const tiers = new Set(unique("quality"));

  options("partner-total", [...partnerName.keys()], partnerLabel);
  options("partner", unique("partner_code"), partnerLabel);
  options("quality", Object.keys(data.tiers).filter((tier) => tiers.has(tier)), (tier) => tier);
  options("status", unique("status"), (status) => named("status", status));
  options("store-list", rows.slice(0, data.maxSeries).map((row) => row.store_id), (id) => rowOf.get(id).store_name);

  byId("partner-total").addEventListener("change", (event) => drawTotal(event.target.value));
  byId("picker").addEventListener("change", (event) => {
    const id = event.target.value.trim();
    if (rowOf.has(id)) choose(id, false);
    else byId("picker-note").textContent = t.choose_hint;
  });
  byId("view").addEventListener("change", (event) => { show(event.target.value); drawTable(); });
  byId("see-weights").addEventListener("click", () => { show("weights"); drawTable(); });
  byId("filters").addEventListener("input", () => { state.page = 0; drawTable(); });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("download").addEventListener("click", download);
  byId("previous").addEventListener("click", () => { state.page -= 1; drawTable(); });
  byId("next").addEventListener("click", () => { state.page += 1; drawTable(); });

  drawHeads();
  drawTable();
  drawTotal("");
  drawPartners();
  for (const node of document.querySelectorAll("[data-figure]")) {
    const figure = data.figures[node.dataset.figure];
    Plotly.newPlot(node, figure.data, figure.layout, config);
  }
  // after the first paint: reading the series takes a moment
  const first = rows.find((row) => row.quality) || rows[0];
  if (first) setTimeout(() => choose(first.store_id, false));
})();
