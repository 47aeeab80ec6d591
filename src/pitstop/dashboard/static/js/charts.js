// Every chart of a page: drawn from the page's island of data, one crosshair for all, dragging sets the range.

import { init } from "../vendor/echarts.min.js";
import * as format from "./format.js";
import { labels } from "./marks.js";
import { color, forget, frame, line } from "./theme.js";

let drawn = new Map(); // key → { chart, plot, data, cross }
let island = null;
let onRange = () => {};

const el = (tag, props = {}, ...children) => { const made = Object.assign(document.createElement(tag), props); made.append(...children); return made; };
const pairs = (ts, values, scale = 1) => ts.map((t, i) => [t * 1000, values[i] === null || values[i] === undefined ? null : values[i] * scale]);
const most = (...lists) => Math.max(0, ...lists.flat().filter((v) => v !== null && v !== undefined));

function unitOf(maxS) {
  if (maxS < 1e-3) return [1e6, "µs"];
  return maxS < 10 ? [1e3, "ms"] : [1, "s"];
}

function tip(tsS, rows) {
  const body = el("table");
  for (const [name, value, colorName] of rows) {
    const mark = el("i");
    mark.style.background = color(colorName);
    body.append(el("tr", {}, el("td", {}, mark, name), el("td", {}, el("b", { textContent: value }))));
  }
  return el("div", { className: "tip" }, el("div", { textContent: format.moment(tsS, island.window[1] - island.window[0] > 86400 ? "short" : "clock") }), body);
}

/** Vertical lines for deploys, alerts and the like. No width: no labels. */
function markLines(widthPx = 0) {
  const found = labels(island.marks, island.window, widthPx);
  const data = island.marks.map(({ ts, alert }, i) => {
    const ink = color(alert ? "bad" : "accent");
    return { xAxis: ts * 1000, lineStyle: { color: ink }, label: found[i] ? { ...found[i], color: ink } : { show: false } };
  });
  return { silent: true, symbol: "none", animation: false, lineStyle: { color: color("accent"), width: 1, type: "solid", opacity: 0.7 }, data };
}

const kinds = {
  latency(d, widthPx) {
    const [scale, unit] = unitOf(most(d.p99, d.p95, d.base));
    const option = frame({ ...range(), y: { axisLabel: { color: color("faint"), fontSize: 11, formatter: (v) => format.figures(v) } } });
    option.series = [
      line("average", "avg", pairs(d.ts, d.mean, scale)),
      line("P95", "p95", pairs(d.ts, d.p95, scale), { dash: [5, 3] }),
      line("P99", "p99", pairs(d.ts, d.p99, scale), { width: 1.25 }),
    ];
    if (d.base.length) option.series.unshift(line(d.base_name, "baseline", pairs(d.ts, d.base, scale), { dash: [1.5, 3], width: 1.5 }));
    option.series[0].markLine = markLines(widthPx);
    option.tooltip.formatter = ([first]) => tip(d.ts[first.dataIndex], [
      ["average", format.duration(d.mean[first.dataIndex]), "avg"], ["P50", format.duration(d.p50[first.dataIndex]), "p50"],
      ["P95", format.duration(d.p95[first.dataIndex]), "p95"], ["P99", format.duration(d.p99[first.dataIndex]), "p99"],
      ...(d.base.length ? [[d.base_name, format.duration(d.base[first.dataIndex]), "baseline"]] : [])]);
    return { option, note: unit };
  },
  traffic(d) {
    const option = frame({ ...range(), y: { axisLabel: { color: color("faint"), fontSize: 11, formatter: (v) => format.rate(v) } } });
    option.series = [line("requests", "p95", pairs(d.ts, d.rate), { width: 1.5, area: true }), line("errors", "bad", pairs(d.ts, d.errors), { width: 1.5 })];
    option.series[0].markLine = markLines();
    option.tooltip.formatter = ([first]) => tip(d.ts[first.dataIndex], [["requests", `${format.rate(d.rate[first.dataIndex])}/s`, "p95"], ["errors", `${format.rate(d.errors[first.dataIndex])}/s`, "bad"]]);
    return { option, note: "/s" };
  },
  heatmap(d) {
    const low = Math.max(1e-6, d.lower[0] ?? 1e-3), high = Math.max(low * 10, d.upper.at(-1) ?? 1);
    const highest = Math.log1p(most(d.cells.map((c) => c[2])));
    const option = frame({ ...range(), y: { type: "log", logBase: high / low < 200 ? 2 : 10, min: low, max: high, splitLine: { lineStyle: { color: color("line") } }, axisLabel: { color: color("faint"), fontSize: 11, formatter: (v) => format.duration(v), showMinLabel: false, showMaxLabel: false } }, left: 52 });
    const fill = color("p99");
    option.series = [{
      type: "custom", clip: true, progressive: 0, data: d.cells.map(([c, r, n]) => [d.ts[c] * 1000, Math.max(low, d.lower[r]), Math.max(low, d.upper[r]), n]), encode: { x: 0, y: [1, 2] },
      renderItem(params, api) {
        const [x0, y0] = api.coord([api.value(0), api.value(1)]), [x1, y1] = api.coord([api.value(0) + d.step_s * 1000, api.value(2)]);
        const left = Math.max(x0, params.coordSys.x), right = Math.min(x1, params.coordSys.x + params.coordSys.width);
        return { type: "rect", shape: { x: left, y: y1, width: Math.max(0, right - left + 0.3), height: y0 - y1 + 0.3 }, style: { fill, opacity: 0.06 + 0.9 * Math.log1p(api.value(3)) / highest } };
      },
      markLine: markLines(),
    }];
    option.tooltip.trigger = "item";
    option.tooltip.formatter = ({ data }) => tip(data[0] / 1000, [[`${format.duration(data[1])} – ${format.duration(data[2])}`, `${format.count(data[3])} requests`, "p99"]]);
    return { option };
  },
  stack(d) {
    const [scale, unit] = unitOf(most(d.total));
    const option = frame({ ...range(), y: { axisLabel: { color: color("faint"), fontSize: 11, formatter: (v) => format.figures(v) } } });
    option.series = d.layers.map((one) => ({ ...line(one.name, one.color, pairs(d.ts, one.values, scale), { width: 0 }), stack: "all", areaStyle: { color: color(one.color), opacity: 0.88 } }));
    if (option.series.length) option.series[0].markLine = markLines();
    option.tooltip.formatter = ([first]) => tip(d.ts[first.dataIndex], [...d.layers.toReversed().map((one) => [one.name, format.duration(one.values[first.dataIndex]), one.color]), ["together", format.duration(d.total[first.dataIndex]), "avg"]]);
    return { option, note: `${unit} a request` };
  },
  counts(d, widthPx) {
    const option = frame({ ...range(), y: { minInterval: 1, axisLabel: { color: color("faint"), fontSize: 11, formatter: (v) => format.count(v) } } });
    option.series = [{ name: d.name, type: "bar", data: pairs(d.ts, d.values).map(([t, v]) => [t + d.step_s * 500, v]), itemStyle: { color: color(d.color) }, barMaxWidth: 14, silent: true, emphasis: { disabled: true }, markLine: markLines(widthPx) }];
    option.tooltip.formatter = ([first]) => tip(d.ts[first.dataIndex], [[d.name, format.count(d.values[first.dataIndex]), d.color]]);
    return { option };
  },
  limited(d, widthPx) {
    const write = (v) => format.measure(v, d.unit);
    const [from, to] = d.window ?? island.window;
    const low = Math.min(0, ...d.values.filter((v) => v !== null), d.limit ?? 0);
    const option = frame({ from, to, y: { min: low < 0 ? null : 0, axisLabel: { color: color("faint"), fontSize: 11, formatter: (v) => write(v) } }, left: 60 });
    option.series = [{ ...line(d.name, "p95", pairs(d.ts, d.values), { width: 1.75 }), z: 3 }];
    if (d.limit !== null) option.series.push({ ...line(d.limit_name, "bad", [[from * 1000, d.limit], [to * 1000, d.limit]], { dash: [5, 3], width: 1.25 }), z: 2 });
    if (d.spans.length) option.series.push(shade(d.spans));
    if (!d.window) option.series[0].markLine = markLines(widthPx);
    option.tooltip.formatter = (points) => {
      const at = points[0].axisValue / 1000;
      const found = points.find((p) => p.seriesIndex === 0);
      return tip(at, [[d.name, found ? write(found.value[1]) : "–", "p95"], ...(d.limit === null ? [] : [[d.limit_name, write(d.limit), "bad"]])]);
    };
    return { option };
  },
  lines(d) {
    const writers = { bytes: format.bytes, ratio: format.ratio, s: format.duration, count: format.count };
    const write = writers[d.unit];
    const option = frame({ ...range(), y: { max: d.most ?? null, interval: d.most ? d.most / 4 : null, axisLabel: { color: color("faint"), fontSize: 11, formatter: (v) => write(v) } }, left: 60 });
    option.series = d.lines.map((one) => line(one.name, one.color, gapped(one.ts, one.values, d.step_s), { width: 1.5 }));
    if (option.series.length) option.series[0].markLine = markLines();
    option.tooltip.formatter = (points) => tip(points[0].axisValue / 1000, points.map((p) => [p.seriesName, write(p.value[1]), d.lines[p.seriesIndex].color]));
    return { option };
  },
};

/** Spans of time behind the lines, [from, to]: an alert was open. */
function shade(spans) {
  return {
    type: "custom", silent: true, z: 1, clip: true, data: spans.map(([a, b]) => [a * 1000, b * 1000]), encode: { x: [0, 1] }, tooltip: { show: false },
    renderItem(params, api) {
      const { x, y, width, height } = params.coordSys;
      const left = Math.max(x, api.coord([api.value(0), 0])[0]), right = Math.min(x + width, api.coord([api.value(1), 0])[0]);
      return { type: "rect", shape: { x: left, y, width: Math.max(1.5, right - left), height }, style: { fill: color("bad"), opacity: 0.16 } };
    },
  };
}

/** Where more than three steps are missing a worker was gone: the line has a gap there. */
function gapped(ts, values, stepS) {
  const out = [];
  const gap = Math.max(3 * stepS, 35);
  ts.forEach((t, i) => {
    if (i && t - ts[i - 1] > gap) out.push([(ts[i - 1] + stepS) * 1000, null]);
    out.push([t * 1000, values[i]]);
  });
  return out;
}

const range = () => ({ from: island.window[0], to: island.window[1] });

/** Draw every plot on the page anew. `chosen(from, to)` is called when a range was dragged. */
export function draw(root, chosen) {
  for (const { chart, watch } of drawn.values()) { watch.disconnect(); chart.dispose(); }
  drawn = new Map();
  onRange = chosen;
  island = JSON.parse(root.querySelector("#island").textContent);
  for (const plot of root.querySelectorAll(".plot[data-chart]")) {
    const data = island.charts?.[plot.dataset.chart];
    if (data) add(plot, data);
  }
}

/** Draw one plot, or draw it anew: for what was asked for after the page was drawn. */
export function add(plot, data) {
  const known = drawn.get(plot.dataset.chart);
  if (known?.plot === plot) { show(known, data); return; }
  plot.replaceChildren();
  const chart = init(plot, null, { renderer: "canvas" });
  const entry = { chart, plot, data, cross: null, watch: new ResizeObserver(() => chart.resize()) };
  show(entry, data);
  entry.watch.observe(plot);
  entry.cross = plot.appendChild(el("div", { className: "cross", hidden: true }));
  if (!data.window) listen(entry);
  drawn.set(plot.dataset.chart, entry);
}

/** New numbers for the same charts; the pointer and the tooltip stay where they are. */
export function update(text) {
  island = JSON.parse(text);
  for (const [key, entry] of drawn) if (island.charts?.[key]) show(entry, island.charts[key]);
}

/** The colour scheme changed. */
export function recolor() {
  forget();
  for (const entry of drawn.values()) show(entry, entry.data);
}

function show(entry, data) {
  entry.data = data;
  const { option, note } = kinds[data.kind](data, entry.plot.clientWidth);
  entry.chart.setOption(option, { notMerge: true });
  entry.plot.setAttribute("aria-label", data.summary);
  const small = document.querySelector(`[data-note="${CSS.escape(entry.plot.dataset.chart)}"]`);
  if (note && small) small.textContent = note;
  const legend = document.querySelector(`[data-legend="${CSS.escape(entry.plot.dataset.chart)}"]`);
  if (legend && data.kind === "stack") legend.replaceChildren(...data.layers.map((one) => { const mark = el("i"); mark.style.borderColor = color(one.color); return el("span", {}, mark, one.name); }));
  if (legend && data.kind === "lines") legend.replaceChildren(...data.lines.slice(0, 6).map((one) => { const mark = el("i"); mark.style.borderColor = color(one.color); return el("span", {}, mark, one.name); }));
}

function listen(entry) {
  const { chart, plot } = entry;
  const zr = chart.getZr();
  const at = (x) => chart.convertFromPixel({ xAxisIndex: 0 }, x) / 1000;
  let startX = null, box = null;
  const stop = () => { startX = null; box?.remove(); box = null; };
  zr.on("mousedown", (e) => { if (chart.containPixel("grid", [e.offsetX, e.offsetY])) { startX = e.offsetX; e.event?.preventDefault?.(); } });
  zr.on("mousemove", (e) => {
    cross(entry, at(e.offsetX));
    if (startX === null || Math.abs(e.offsetX - startX) < 4) return;
    box ??= plot.appendChild(el("div", { className: "chosen" }));
    box.style.left = `${Math.min(startX, e.offsetX)}px`;
    box.style.width = `${Math.abs(e.offsetX - startX)}px`;
  });
  zr.on("globalout", () => cross(entry, null));
  addEventListener("mouseup", (e) => {
    if (startX === null || !plot.isConnected) return;
    const [from, to] = [startX, e.clientX - plot.getBoundingClientRect().left].map(at).sort((a, b) => a - b);
    const far = box !== null;
    stop();
    if (far) onRange(Math.floor(Math.max(from, island.window[0])), Math.ceil(Math.min(to, island.window[1])));
  });
  addEventListener("keydown", (e) => { if (e.key === "Escape") stop(); });
}

function cross(source, tsS) {
  for (const entry of drawn.values()) {
    if (entry === source) continue;
    entry.cross.hidden = tsS === null || tsS < island.window[0] || tsS > island.window[1];
    if (!entry.cross.hidden) entry.cross.style.left = `${entry.chart.convertToPixel({ xAxisIndex: 0 }, tsS * 1000)}px`;
  }
}

/** The chart's numbers as a table: head and rows of text. */
export function table(key) {
  const d = drawn.get(key)?.data;
  if (!d) return null;
  const time = (ts) => format.moment(ts, "short");
  if (d.kind === "latency") return { head: ["Time", "Average", "P50", "P95", "P99"], rows: d.ts.map((t, i) => [time(t), ...[d.mean, d.p50, d.p95, d.p99].map((v) => format.duration(v[i]))]) };
  if (d.kind === "traffic") return { head: ["Time", "Requests, /s", "Errors, /s"], rows: d.ts.map((t, i) => [time(t), format.rate(d.rate[i]), format.rate(d.errors[i])]) };
  if (d.kind === "heatmap") return { head: ["Time", "Longer than", "Up to", "Requests"], rows: d.cells.map(([c, r, n]) => [time(d.ts[c]), format.duration(d.lower[r]), format.duration(d.upper[r]), format.count(n)]) };
  if (d.kind === "stack") return { head: ["Time", ...d.layers.map((one) => one.name), "Together"], rows: d.ts.map((t, i) => [time(t), ...d.layers.map((one) => format.duration(one.values[i])), format.duration(d.total[i])]) };
  if (d.kind === "counts") return { head: ["Time", d.name], rows: d.ts.map((t, i) => [time(t), format.count(d.values[i])]) };
  if (d.kind === "limited") return { head: ["Time", d.name, ...(d.limit === null ? [] : [d.limit_name])], rows: d.ts.map((t, i) => [time(t), format.measure(d.values[i], d.unit), ...(d.limit === null ? [] : [format.measure(d.limit, d.unit)])]) };
  const write = { bytes: format.bytes, ratio: format.ratio, s: format.duration, count: format.count }[d.unit];
  return { head: ["Time", "Worker", "Value"], rows: d.lines.flatMap((one) => one.ts.map((t, i) => [time(t), one.name, write(one.values[i])])) };
}
