// The keyboard: / filter, t range, g then a letter, l live, ? help, arrows and Enter in tables, Esc closes.

import { toggle } from "./live.js";
import { walk } from "./table.js";

let afterG = 0;

const typing = (target) => target.closest?.("input, select, textarea, [contenteditable], dialog[open]");

function search() {
  const field = document.getElementById("search");
  if (field) field.select();
  else document.querySelector('nav a[data-key="r"]').click();
}

function chooseRange() {
  const menu = document.getElementById("range");
  menu.open = true;
  const first = menu.querySelector(".quick a");
  (first.checkVisibility() ? first : menu.querySelector("input")).focus();
}

addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  const { key, target } = event;
  if (key === "Escape") {
    for (const open of document.querySelectorAll("details.menu[open]")) { open.open = false; open.querySelector("summary").focus(); }
    if (target.id === "search") target.blur();
    fold(false);
    return;
  }
  if (target.id === "search" && (key === "ArrowDown" || key === "Enter")) { event.preventDefault(); walk(1); if (key === "Enter") document.querySelector("tr.at a")?.click(); return; }
  if (typing(target)) return;
  if (performance.now() < afterG) {
    afterG = 0;
    const link = [...document.querySelectorAll("nav a[data-key]")].find((one) => one.dataset.key === key);
    if (link) { event.preventDefault(); link.click(); return; }
  }
  if (key === "g") { afterG = performance.now() + 1500; return; }
  const acts = {
    "/": search,
    t: chooseRange,
    l: toggle,
    "?": () => document.getElementById("help").showModal(),
    ArrowDown: () => walk(1),
    ArrowUp: () => walk(-1),
    j: () => walk(1),
    k: () => walk(-1),
  };
  if (!Object.hasOwn(acts, key)) return;
  if (acts[key]() === false) return;
  event.preventDefault();
});

/** Open or close the menu of a narrow page. */
export function fold(open) {
  const nav = document.getElementById("nav");
  const next = open ?? !nav.classList.contains("open");
  nav.classList.toggle("open", next);
  document.querySelector('[data-act="menu"]').setAttribute("aria-expanded", String(next));
}
