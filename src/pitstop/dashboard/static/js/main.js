// Starts the page: everything here adds to what the server has drawn already.

import * as brush from "./brush.js";
import { recolor, table } from "./charts.js";
import * as flame from "./flame.js";
import { fold } from "./keys.js";
import { start, toggle } from "./live.js";
import { say, settle } from "./page.js";
import * as rule from "./rule.js";
import { checkpoint } from "./storage.js";
import "./tune.js";
import { silence } from "./watch.js";
import * as waterfall from "./waterfall.js";

const SCHEMES = { auto: "◐", light: "☀", dark: "☾" };
const base = document.querySelector(".app").dataset.base;

function scheme(next) {
  const root = document.documentElement;
  const names = Object.keys(SCHEMES);
  const now = root.dataset.scheme ?? "auto";
  const chosen = next ? names[(names.indexOf(now) + 1) % names.length] : now;
  if (chosen === "auto") delete root.dataset.scheme; else root.dataset.scheme = chosen;
  const button = document.querySelector('[data-act="scheme"]');
  button.textContent = SCHEMES[chosen];
  button.title = `Colour scheme: ${chosen}`;
  button.setAttribute("aria-label", button.title);
  if (!next) return;
  document.cookie = `pitstop_scheme=${chosen}; path=${base || "/"}; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
  repaint();
}

function repaint() { recolor(); waterfall.recolor(); flame.recolor(); }

function sheet(button) {
  const found = table(button.dataset.chart);
  if (!found) return;
  const dialog = document.getElementById("sheet");
  const made = document.createElement("table");
  made.className = "grid";
  const row = (parent, tag, texts) => { const tr = parent.insertRow(); for (const text of texts) { const cell = document.createElement(tag); cell.textContent = text; tr.append(cell); } };
  row(made.createTHead(), "th", found.head);
  const body = made.createTBody();
  for (const texts of found.rows.toReversed().slice(0, 1000)) row(body, "td", texts);
  document.getElementById("sheet-title").textContent = document.querySelector(`#t-${CSS.escape(button.dataset.chart)} > span`).textContent;
  dialog.querySelector(".scroll").replaceChildren(made);
  dialog.showModal();
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
    say("Copied");
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Selected";
  }
}

const acts = {
  menu: () => fold(), live: toggle, scheme: () => scheme(true), sheet, checkpoint, silence,
  "rule-test": rule.test, shut: (button) => button.closest("dialog").close(),
  help: () => document.getElementById("help").showModal(),
};
addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-act], [data-copy]");
  if (button?.dataset.copy) copy(button);
  else if (button && Object.hasOwn(acts, button.dataset.act)) acts[button.dataset.act](button);
  for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(event.target)) open.open = false;
  if (!event.target.closest?.("nav, [data-act='menu']")) fold(false);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
addEventListener("pitstop:page", () => {
  scheme(false);
  const island = JSON.parse(document.getElementById("island").textContent);
  waterfall.draw(island);
  flame.draw(island);
  brush.draw();
});
settle();
start();
