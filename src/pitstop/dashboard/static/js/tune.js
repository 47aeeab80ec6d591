// What processes of this machine are told to do: counts first, asks once and names what goes, says what came of it.

import { bytes, count } from "./format.js";
import { say } from "./page.js";
import { role, send, sure } from "./send.js";

const LEAK_BYTES_PER_MIN = 1e6; // as the page says
const MOST_LINES = 20;

const item = (textContent, className = "") => Object.assign(document.createElement("li"), { textContent, className });

/** Lines below the buttons: what each process answered, and who did not. */
function tell(lines, problems = []) {
  const list = role("asked");
  list.hidden = false;
  list.replaceChildren(...lines.map((text) => item(`✓ ${text}`)), ...problems.map((text) => item(`▲ ${text}`, "worse")));
  say([...lines, ...problems].join("; "));
}

const failed = (error) => { const list = role("asked"); list.hidden = false; list.replaceChildren(item(`▲ Not done: ${error.message}`, "worse")); say(`Not done: ${error.message}`); };

const leaks = (one) => one.stays && one.bytes_per_min >= LEAK_BYTES_PER_MIN;

/** Code lines with what they allocated, as a table. */
function lines(found) {
  const table = Object.assign(document.createElement("table"), { className: "grid" });
  const row = (parent, tag, texts) => {
    const tr = parent.insertRow();
    texts.forEach((text, i) => { const cell = document.createElement(tag); if (i || tag === "th") cell.textContent = text; else cell.append(Object.assign(document.createElement("code"), { textContent: text, title: text })); tr.append(cell); });
  };
  row(table.createTHead(), "th", ["Code line", "Stayed", "Blocks", "A minute", "Goes on"]);
  const body = table.createTBody();
  for (const one of found.slice(0, MOST_LINES)) row(body, "td", [one.line, bytes(one.bytes), count(one.blocks), bytes(one.bytes_per_min), one.stays ? (leaks(one) ? "▲ yes" : "a little") : "no"]);
  return table;
}

const shown = {
  "memory/optimize": ({ processes, problems }) => tell(processes.flatMap((one) => [one.text, ...one.steps.filter((step) => step.note || step.freed_bytes > 0).map((step) => `${step.name}: ${step.freed_bytes > 0 ? bytes(step.freed_bytes) : "nothing"}${step.note ? `; ${step.note}` : ""}`)]), problems),
  "memory/look": ({ lines: found, processes, outside, problems }) => {
    const what = found.length ? `${found.length} code lines allocated what stayed, ${found.filter(leaks).length || "none"} of them more than ${bytes(LEAK_BYTES_PER_MIN)} a minute` : "nothing that was allocated meanwhile stayed";
    tell([`${processes.length} ${processes.length === 1 ? "process" : "processes"} looked: ${what}`, ...outside], problems);
    const place = role("looked");
    place.hidden = !found.length;
    place.replaceChildren(...(found.length ? [lines(found)] : []));
  },
};

async function ask(button) {
  const { ask: path, service, seconds, verb } = button.dataset;
  if (!(await sure(button.dataset.sure, verb))) return;
  const buttons = [...document.querySelectorAll("button[data-ask]")];
  for (const one of buttons) one.disabled = true;
  const list = role("asked");
  list.hidden = false;
  list.replaceChildren(item(seconds ? `Looking for ${seconds} s …` : "Asking …"));
  try {
    shown[path](await send("POST", path, { service: service || null, ...(seconds ? { seconds: Number(seconds) } : {}) }));
  } catch (error) {
    failed(error);
  } finally {
    for (const one of buttons) one.disabled = false;
  }
}

async function invalidate(form) {
  const { what, which } = form.elements;
  const { region, service } = form.dataset;
  const out = role("invalidated", form), button = form.querySelector("button.on");
  const wanted = which.value.trim();
  if (what.value !== "region" && !wanted) { which.setCustomValidity(`which ${what.value}?`); form.reportValidity(); return; }
  const body = { service: service || null, ...{ region: { region }, tag: { tags: [wanted] }, tenant: { tenant: wanted } }[what.value] };
  button.disabled = true;
  out.textContent = "Counting …";
  try {
    const seen = await send("POST", "cache/invalidate", { ...body, dry_run: true });
    out.textContent = `${seen.text}.`;
    const named = { region: `All of “${region}”`, tag: `All values with the tag “${wanted}”, in every region`, tenant: `All values of the tenant “${wanted}”, in every region` }[what.value];
    if (!(await sure(`${named}: ${seen.text}. They are made anew when they are asked for, which takes its time.`, "Throw away"))) return;
    const gone = await send("POST", "cache/invalidate", { ...body, dry_run: false });
    out.textContent = "";
    tell([gone.text], gone.problems);
  } catch (error) {
    out.textContent = `Not done: ${error.message}`;
  } finally {
    button.disabled = false;
  }
}

addEventListener("click", (event) => { const button = event.target.closest?.("button[data-ask]"); if (button) ask(button); });
addEventListener("submit", (event) => { if (event.target.dataset?.form === "invalidate") { event.preventDefault(); invalidate(event.target); } });
addEventListener("change", (event) => {
  if (event.target.name !== "what" || event.target.form?.dataset.form !== "invalidate") return;
  const label = role("which", event.target.form);
  label.hidden = event.target.value === "region";
  label.firstChild.textContent = `Which ${event.target.value} `;
});
