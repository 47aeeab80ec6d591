// Rules: the editor that checks while one types, tests on recorded history and saves; the course of an alert's value.

import * as charts from "./charts.js";
import { count, duration, measure, moment } from "./format.js";
import { go, main } from "./page.js";
import { role, send } from "./send.js";
import { tell } from "./watch.js";

const WAIT_MS = 350;  // after the last key: nobody reads what is said between two letters
let timer = 0, wanted = 0;

const form = () => document.querySelector('form[data-form="rule"]');
const textOf = () => form().elements.text;

function said(text, bad = false) {
  const out = role("said", form());
  out.textContent = text;
  out.classList.toggle("worse", bad);
  textOf().setAttribute("aria-invalid", String(bad));
  const save = role("save", form());
  if (save) save.disabled = bad;
}

async function check() {
  const mine = ++wanted;
  const text = textOf().value;
  try {
    const { rule, problem } = await send("POST", "rules/check", { text });
    if (mine !== wanted || !form()) return;
    if (problem) { said(`▲ ${problem}`, true); return; }
    const { name, kind, severity, summary } = rule;
    said(`✓ “${name}”: ${kind.replaceAll("_", " ")}${severity ? `, ${severity}` : ""}${summary ? `. ${summary}` : ""}`);
  } catch (error) {
    if (mine === wanted && form()) said(`▲ ${error.message}`, true);
  }
}

function span() {
  const { from, to, last, service } = main().dataset;
  const asked = new URLSearchParams(last ? { last } : { from, to });
  if (service) asked.set("service", service);
  return asked;
}

/** What the rule as it stands in the editor would have done in the range of the page. */
export async function test() {
  const button = form().querySelector('[data-act="rule-test"]');
  const area = document.getElementById("replay");
  button.disabled = true;
  said("Testing on what was recorded …");
  try {
    const edited = !textOf().readOnly && textOf().value !== textOf().defaultValue;
    const text = !edited && form().dataset.rule ? form().dataset.rule : textOf().value;
    show(await send("POST", `rules/test?${span()}`, { text }), area);
    said("✓ Tested; see below.");
    area.scrollIntoView({ block: "nearest" });
  } catch (error) {
    said(`▲ ${error.message}`, true);
  } finally {
    button.disabled = false;
  }
}

/** On the page of an alert: the value before, during and after it. */
async function course(area) {
  const { rule, from, to, alert } = area.dataset;
  const { service } = main().dataset;
  try {
    const replay = await send("POST", `rules/test?${new URLSearchParams({ from, to, ...(service && { service }) })}`, { text: rule });
    if (!replay.values.some(([, v]) => v !== null)) throw new Error("nothing was recorded that it looks at");
    plot(replay, area, [JSON.parse(alert)]);
  } catch (error) {
    area.querySelector("small").textContent = error.message;
    area.querySelector(".right").hidden = area.querySelector(".plot").hidden = true;
  }
}

function plot(replay, area, spans) {
  charts.add(area.querySelector(".plot"), {
    kind: "limited", ts: replay.values.map(([ts]) => ts), values: replay.values.map(([, v]) => v), limit: replay.limit, unit: replay.unit,
    name: "value", limit_name: "limit", window: null, spans,
    summary: `values between ${measure(least(replay, Math.min), replay.unit)} and ${measure(least(replay, Math.max), replay.unit)}${replay.limit === null ? "" : `, limit ${measure(replay.limit, replay.unit)}`}; ${spans.length} alerts`,
  });
}

function show(replay, area) {
  const fired = replay.incidents.filter((one) => one.fired_s !== null);
  const [from, to] = replay.window;
  area.hidden = false;
  role("replay-note", area).textContent = `looked at ${count(replay.looks)} times, every ${duration(replay.step_s)}, ${moment(from, "short")} – ${moment(to, "short")}`;
  role("replay-said", area).textContent = fired.length ? `It would have fired ${fired.length === 1 ? "once" : `${fired.length} times`}.` : replay.values.some(([, v]) => v !== null) ? "It would not have fired." : "There was nothing to look at in this range: take a longer one, or another service.";
  const end = (one) => one.ended_s ?? to;
  plot(replay, area, fired.map((one) => [one.fired_s, end(one)]));
  role("replay-rows", area).replaceChildren(...fired.map((one) => row([one.summary || one.rule, `${measure(one.value, one.unit)}`, moment(one.fired_s, "short_s"), one.ended_s === null ? "to the end" : duration(Math.round(one.ended_s - one.fired_s))])));
  area.querySelector("table").hidden = !fired.length;
}

const least = (replay, pick) => { const seen = replay.values.map(([, v]) => v).filter((v) => v !== null); return seen.length ? pick(...seen) : null; };

function row(texts) {
  const made = document.createElement("tr");
  texts.forEach((text, i) => { const cell = made.insertCell(); cell.textContent = text; cell.title = text; if (i === 1 || i === 3) cell.className = "opt"; });
  return made;
}

async function save(editor) {
  const button = role("save", editor);
  button.disabled = true;
  try {
    const { name } = await send("POST", "rules", { text: textOf().value });
    await go(new URL(`rule?${new URLSearchParams({ name })}`, location.href));
    tell(`“${name}” is saved; it is looked at from now on.`);
  } catch (error) {
    said(`▲ Not saved: ${error.message}`, true);
    button.disabled = false;
  }
}

addEventListener("input", (event) => {
  if (event.target.id !== "rule-text") return;
  clearTimeout(timer);
  timer = setTimeout(check, WAIT_MS);
});
addEventListener("submit", (event) => { if (event.target.dataset?.form === "rule") { event.preventDefault(); save(event.target); } });
addEventListener("pitstop:page", () => { wanted += 1; const area = document.getElementById("course"); if (area) course(area); if (form() && "run" in form().dataset) test(); });
