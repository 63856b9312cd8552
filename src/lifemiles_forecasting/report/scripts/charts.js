"use strict";
// The charts that follow the filters, the analyst's figures as Python drew them, and any of them as a table.
const charts = (() => {
  const { byId, data, t, plus, days, element } = base;
  const MAX_SMALL = 12; // partners with a small chart
  const RECENT = 119; // days of history that a chart opens with
  const C = { ink: "#1b2733", grid: "#e3e8ee", actual: "#0b4f8a", soft: "#9db9d3", forecast: "#c2410c", test: "#7a3e9d",
    band80: "rgba(194,65,12,0.22)", band95: "rgba(194,65,12,0.10)", test80: "rgba(122,62,157,0.20)", test95: "rgba(122,62,157,0.09)" };
  const spanish = document.documentElement.lang === "es";
  const config = { responsive: true, displaylogo: false, locale: document.documentElement.lang,
    modeBarButtons: [["toImage", "resetScale2d"]] };
  if (spanish) {
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

  // ticks of a chart of days: a day apart at least, closer ones would repeat the day
  const ticks = ([first, last], most) => (Date.parse(last) - Date.parse(first)) / 864e5 < most ? { dtick: 864e5 } : { nticks: most };
  const layout = (range, most = window.innerWidth < 700 ? 4 : 9) => ({
    template: "none", font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif", size: 13, color: C.ink },
    margin: { l: 60, r: 16, t: 34, b: 44 }, height: 400, hovermode: "x unified",
    separators: t.decimal + t.thousands, paper_bgcolor: "white", plot_bgcolor: "white",
    legend: { orientation: "h", x: 0, y: -0.14, yanchor: "top", traceorder: "normal" },
    xaxis: { type: "date", gridcolor: C.grid, linecolor: C.grid, hoverformat: t.date_format, tickformat: t.tick_format, tickangle: 0,
      ...ticks(range, most), range },
    yaxis: { gridcolor: C.grid, zerolinecolor: C.grid, rangemode: "tozero", tickformat: ",~r", automargin: true,
      title: { text: data.target, standoff: 8 } },
  });
  const line = (x, y, name, color, style = {}, extra = {}) => ({ type: "scatter", mode: "lines", x, y, name,
    line: { color, width: 1.8, ...style }, hovertemplate: "%{y:,.2f}", ...extra });
  const band = (x, bounds, dark, light) => [[2, light, t.band_95], [0, dark, t.band_80]].flatMap(([k, color, name]) => [
    line(x, bounds[k], `${name}, ${t.lower}`, color, { width: 0 }, { showlegend: false, hoverinfo: "skip", hovertemplate: null }),
    line(x, bounds[k + 1], name, color, { width: 0 }, { fill: "tonexty", fillcolor: color, hoverinfo: "skip", hovertemplate: null })]);
  const weekMean = (y) => y.map((_, i) => i < 6 ? null : y.slice(i - 6, i + 1).reduce((a, b) => a + b) / 7);
  const marker = (day) => ({ shapes: [{ type: "line", x0: day, x1: day, yref: "paper", y0: 0, y1: 1,
    line: { color: "#8794a1", width: 1, dash: "dot" } }] });
  // the days that were chosen; without a choice the last months, and the rest a double click away
  const range = (first) => {
    const { from, to } = state.chosen;
    const usual = plus(data.first_day, -RECENT);
    return [from || (usual > first ? usual : first), to || state.lastDay];
  };

  const open = new Set(); // charts whose table is shown
  const draw = (id, traces, layout_, words, config_ = config) => {
    const chart = byId(id);
    Plotly.react(chart, traces, layout_, config_);
    if (words) chart.setAttribute("aria-label", words);
    if (open.has(id)) showTable(id);
  };

  const drawTotal = (group, past, measured, words) => {
    const history = days(past.start, past.values.length);
    const traces = measured && measured.bounds ? band(sums.aheadDays, measured.bounds, C.band80, C.band95) : [];
    traces.push(line(history, past.values, t.history, C.soft, { width: 1 }),
      line(history, weekMean(past.values), t.history_mean, C.actual, { width: 2.2 }),
      line(sums.aheadDays, group.next, t.forecast, C.forecast, { width: 2.2 }));
    draw("chart-total", traces, { ...layout(range(past.start)), ...marker(data.first_day) }, words);
  };

  const drawTest = (group, measured, words) => {
    const shown = state.span(sums.testStart, sums.H);
    const traces = measured && measured.test ? band(sums.testDays, measured.test, C.test80, C.test95) : [];
    // a line of zeros would say that it was tested
    if (group.tested) traces.push(line(sums.testDays, group.actual, t.history, C.actual, { width: 2.2 }),
      line(sums.testDays, group.expected, t.test_forecast, C.test, { width: 2.2, dash: "dot" }));
    draw("chart-test", traces, { ...layout([sums.testDays[shown.a], sums.testDays[shown.b - 1]]), height: 340 }, words);
  };

  // one small chart per partner; the others are in the table
  const drawPartners = (partners, parts) => {
    const shown = [...partners.entries()].sort(([, a], [, b]) => sums.within(b.next, { a: 0, b: sums.H }) - sums.within(a.next, { a: 0, b: sums.H })).slice(0, MAX_SMALL);
    const grid = byId("partner-grid");
    for (const old of grid.querySelectorAll(".chart")) Plotly.purge(old);
    grid.replaceChildren();
    if (state.narrow()) return; // their history is that of all of their stores
    // all of them first: a chart takes the width that its column has when it is drawn
    const drawn = shown.map(([code]) => {
      const figure = element("figure");
      const chart = element("div", "", "chart small");
      chart.setAttribute("role", "img");
      chart.setAttribute("aria-label", `${t.partners_title}: ${code}`);
      figure.append(element("figcaption", base.partnerLabel(code)), chart);
      grid.append(figure);
      return chart;
    });
    shown.forEach(([code, group], i) => {
      const past = sums.history(parts.filter((cell) => cell.partner === code));
      const full = layout(range(past.start), 4);
      Object.assign(full, { height: 210, showlegend: false, margin: { l: 48, r: 8, t: 8, b: 32 } });
      Object.assign(full.yaxis, { title: undefined, nticks: 4 });
      Plotly.newPlot(drawn[i], [line(days(past.start, past.values.length), past.values, t.history, C.actual, { width: 1.4 }),
        line(sums.aheadDays, group.next, t.forecast, C.forecast)], full, { ...config, displayModeBar: false });
    });
  };

  const drawStore = (row, one, start, words) => {
    const traces = one ? band(sums.aheadDays, one.b, C.band80, C.band95) : [];
    const first = one ? plus(start, one.o) : plus(data.first_day, -sums.BACK);
    const history = one ? one.h : row.recent;
    traces.push(line(days(first, history.length), history, t.history, C.actual, { width: 1.4 }));
    if (row.tested) traces.push(line(sums.testDays, row.tested, t.test_forecast, C.test, { dash: "dot", width: 2 }));
    traces.push(line(sums.aheadDays, row.forecast, t.forecast, C.forecast, { width: 2.2 }));
    draw("chart-store", traces, { ...layout(range(state.firstDay)), ...marker(data.first_day) }, words);
  };

  const drawFigure = (node) => {
    const figure = data.figures[node.dataset.figure];
    // its title stands above it
    const legend = figure.data.filter((trace) => trace.showlegend !== false).length > 1;
    const margin = { ...figure.layout.margin, t: legend ? 56 : 16 };
    draw(node.id, figure.data, { ...figure.layout, title: undefined, margin, height: figure.layout.height - 40 }, "");
  };

  // any chart as a table: a row per place on its axis, a column per line or kind of bar
  const showTable = (id) => {
    const box = document.querySelector(`details[data-chart="${id}"] .scroll`);
    if (!byId(id).data) return; // not drawn yet: its drawing comes back to this
    const traces = byId(id).data.filter((trace) => trace.x && trace.y);
    const flipped = traces.some((trace) => trace.orientation === "h");
    const [keys, values] = flipped ? ["y", "x"] : ["x", "y"];
    const plain = (text) => new DOMParser().parseFromString(String(text), "text/html").body.textContent;
    const rows = new Map();
    traces.forEach((trace, k) => trace[keys].forEach((key, i) => {
      if (!rows.has(key)) rows.set(key, new Array(traces.length).fill(null));
      rows.get(key)[k] = trace[values][i];
    }));
    const dated = traces.some((trace) => /^\d{4}-\d\d-\d\d$/.test(trace[keys][0]));
    const order = [...rows.keys()];
    if (dated) order.sort().reverse();
    const numeric = [false, ...traces.map(() => true)];
    const title = dated ? t.date : plain(byId(id).layout[flipped ? "yaxis" : "xaxis"]?.title?.text || "");
    const table = element("table");
    const digits = traces.map((trace) => base.digitsFor(trace[values]));
    table.createTHead().append(base.head([title, ...traces.map((trace) => plain(trace.name || byId(id).layout.yaxis?.title?.text || ""))], numeric));
    table.createTBody().append(...order.map((key) => base.row(
      [dated ? base.written(key) : plain(key), ...rows.get(key).map((value, k) => base.number(value ?? null, digits[k]))], numeric)));
    box.replaceChildren(table);
  };
  const watchTables = () => {
    for (const details of document.querySelectorAll("details[data-chart]")) {
      details.addEventListener("toggle", () => {
        if (details.open) open.add(details.dataset.chart);
        else open.delete(details.dataset.chart);
        if (details.open) showTable(details.dataset.chart);
      });
    }
  };

  return { drawTotal, drawTest, drawPartners, drawStore, drawFigure, watchTables };
})();
