// The one theme of all charts: colours come from css/tokens.css, so both schemes and every page agree.

let probe;
let cache = new Map();

/** What a custom property is in the scheme that is shown, as a canvas takes it. */
export function color(name) {
  if (!cache.has(name)) {
    probe ??= document.body.appendChild(Object.assign(document.createElement("i"), { className: "hidden", ariaHidden: "true" }));
    probe.style.color = `var(--${name})`;
    cache.set(name, getComputedStyle(probe).color);
  }
  return cache.get(name);
}

/** The scheme changed: read the colours again. */
export const forget = () => { cache = new Map(); };

const text = () => ({ color: color("faint"), fontSize: 11, fontFamily: getComputedStyle(document.body).fontFamily });

export function frame({ from, to, y, left = 46 }) {
  return {
    animation: false,
    textStyle: text(),
    grid: { left, right: 10, top: 14, bottom: 24, containLabel: false },
    xAxis: {
      type: "time", min: from * 1000, max: to * 1000,
      axisLine: { lineStyle: { color: color("line") } }, axisTick: { show: false }, splitLine: { show: false },
      axisLabel: { ...text(), hideOverlap: true, showMinLabel: false, showMaxLabel: false, formatter: { year: "{yyyy}", month: "{d} {MMM}", day: "{d} {MMM}", hour: "{HH}:{mm}", minute: "{HH}:{mm}", second: "{HH}:{mm}:{ss}" } },
      axisPointer: { show: true, type: "line", label: { show: false }, lineStyle: { color: color("faint"), width: 1, type: "solid" } },
    },
    yAxis: {
      type: "value", min: 0, splitNumber: 4,
      axisLine: { show: false }, axisTick: { show: false }, splitLine: { lineStyle: { color: color("line") } },
      axisLabel: { ...text(), margin: 6 }, axisPointer: { show: false }, ...y,
    },
    tooltip: {
      trigger: "axis", confine: true, transitionDuration: 0, appendTo: null, padding: [6, 10],
      backgroundColor: color("surface"), borderColor: color("line-strong"), borderWidth: 1,
      extraCssText: "border-radius:6px;box-shadow:0 6px 20px rgb(0 0 0 / .14);", textStyle: { color: color("text"), fontSize: 12 },
    },
  };
}

export function line(name, colorName, values, { dash = "solid", width = 2, area = false } = {}) {
  const alone = new Set(values.flatMap(([, v], i) => (v !== null && (values[i - 1]?.[1] ?? null) === null && (values[i + 1]?.[1] ?? null) === null ? [i] : [])));
  return {
    name, type: "line", data: values, color: color(colorName), connectNulls: false, silent: true,
    showSymbol: alone.size > 0, showAllSymbol: true, symbol: "circle", symbolSize: (_, { dataIndex }) => (alone.has(dataIndex) ? 4 : 0),
    lineStyle: { width, type: dash, color: color(colorName), join: "round" },
    areaStyle: area ? { color: color("accent-soft"), opacity: 1 } : undefined,
    emphasis: { disabled: true },
  };
}
