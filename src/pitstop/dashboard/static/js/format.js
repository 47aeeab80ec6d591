// Figures as people read them; the same text as pitstop/analyze/units.py writes (a test compares the two).

const NO_DATA = "–";
const LARGE = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
const BYTES = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]];
const DURATIONS = [[1e-6, "µs"], [1e-3, "ms"], [1, "s"]];
const LENGTHS_S = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
const LEAST_RATIO = 1e-5;

const missing = (value) => value === null || value === undefined;

/** `value` rounded to `digits` significant digits, ties to even as Python rounds: [digits, exponent of the first]. */
function rounded(value, digits) {
  const [mantissa, exponent] = Math.abs(value).toExponential(60).split("e");
  const all = mantissa.replace(".", "");
  const rest = all.slice(digits).replace(/0+$/, "");
  let kept = BigInt(all.slice(0, digits));
  const up = rest !== "" && (rest[0] > "5" || (rest[0] === "5" && (rest.length > 1 || kept % 2n === 1n)));
  if (up) kept += 1n;
  const text = kept.toString();
  return text.length > digits ? [text.slice(0, digits), Number(exponent) + 1] : [text, Number(exponent)];
}

/** `value` to `digits` significant figures, without exponent or empty zeros. */
export function figures(value, digits = 3) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return NO_DATA;
  const [kept, exponent] = rounded(value, digits);
  let text;
  if (exponent >= digits - 1) text = kept + "0".repeat(exponent - digits + 1);
  else if (exponent >= 0) text = `${kept.slice(0, exponent + 1)}.${kept.slice(exponent + 1)}`;
  else text = `0.${"0".repeat(-exponent - 1)}${kept}`;
  if (text.includes(".")) text = text.replace(/0+$/, "").replace(/\.$/, "");
  return value < 0 ? `-${text}` : text;
}

function long(seconds) {
  let rest = Math.round(seconds);
  if (Math.abs(seconds % 1) === 0.5 && rest % 2) rest -= 1; // ties to even, as Python rounds
  const parts = [];
  for (const [length, name] of LENGTHS_S) {
    const number = Math.floor(rest / length);
    rest -= number * length;
    if (number) parts.push(`${number} ${name}`);
  }
  return parts.slice(0, 2).join(" ");
}

export function duration(seconds) {
  if (missing(seconds)) return NO_DATA;
  if (seconds === 0) return "0 s";
  if (Math.abs(seconds) >= 60) return long(seconds);
  let [unit, name] = DURATIONS[0];
  for (const [size, larger] of DURATIONS) if (Math.abs(Number(figures(seconds / size))) >= 1) [unit, name] = [size, larger];
  return `${figures(seconds / unit)} ${name}`;
}

export const milliseconds = (seconds) => (missing(seconds) ? NO_DATA : figures(seconds * 1e3));

/** `number` in the largest unit of `units` that it reaches when rounded, else with `rest` behind it. */
function scaled(number, units, rest) {
  if (missing(number)) return NO_DATA;
  const reached = Math.abs(Number(figures(number)));
  for (const [size, name] of units) if (reached >= size) return `${figures(number / size)} ${name}`;
  return figures(number) + rest;
}

export const count = (number) => scaled(number, LARGE, "");
export const rate = count;
export const bytes = (number) => scaled(number, BYTES, " B");

export function ratio(part) {
  if (missing(part)) return NO_DATA;
  if (part > 0 && part < LEAST_RATIO) return "< 0.001 %";
  if (part > 0.99 && part < 1) {
    const rest = figures(Math.max(1 - part, LEAST_RATIO) * 100, 2);
    const places = (rest.split(".")[1] || "").length;
    return `${(100 - Number(rest)).toFixed(places)} %`;
  }
  return `${figures(part * 100)} %`;
}

/** A value with its unit, as pitstop/dashboard/states.py writes it. */
export function measure(value, unit) {
  if (missing(value)) return NO_DATA;
  if (unit === "s") return duration(value);
  if (unit === "ratio") return ratio(value);
  if (unit === "bytes") return bytes(value);
  return unit.startsWith("/") ? `${count(value)}${unit}` : `${count(value)} ${unit}`.trimEnd();
}

export function change(part) {
  if (missing(part)) return NO_DATA;
  if (part >= 2) return `×${figures(1 + part, 2)}`;
  return part ? `${part < 0 ? "−" : "+"}${figures(Math.abs(part) * 100, 2)} %` : "±0 %";
}

export function cutMiddle(text, width) {
  const letters = [...text];
  if (letters.length <= width) return text;
  if (width <= 1) return "…".slice(0, width);
  const head = Math.floor((width - 1) / 2);
  return `${letters.slice(0, head).join("")}…${letters.slice(letters.length - (width - 1 - head)).join("")}`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayClock = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const shortClock = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const full = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" });

/** A moment in the viewer's zone: `clock` within a day, `short` with its day, `full` with year and zone. */
export function moment(tsS, style = "full") {
  return { clock, short: dayClock, short_s: shortClock, full }[style].format(new Date(tsS * 1000));
}

export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** How long ago, in words: for a title. */
export function ago(tsS, nowS = Date.now() / 1000) {
  const past = Math.round(nowS - tsS);
  if (Math.abs(past) < 2) return "now";
  return past > 0 ? `${past < 60 ? `${past} s` : long(past)} ago` : `in ${past > -60 ? `${-past} s` : long(-past)}`;
}
