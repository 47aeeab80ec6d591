// Getting pages: the server renders all of it; a click or a refresh fetches the page and puts its parts in place.

import * as charts from "./charts.js";
import { ago, moment, zone } from "./format.js";
import { filterAgain } from "./table.js";

const base = document.querySelector(".app").dataset.base;
let current = 0; // the newest wish wins

export const main = () => document.getElementById("main");
export const say = (text) => { document.getElementById("said").textContent = text; };

/** What every page needs after it was put in place. */
export function settle() {
  localTimes(document);
  document.getElementById("zone").textContent = `Times are in ${zone()}.`;
  for (const input of document.querySelectorAll("input[data-ts]")) input.value = forInput(Number(input.dataset.ts));
  charts.draw(main(), (from, to) => go(withRange(from, to)));
  filterAgain();
  main().dataset.ready = "";
  dispatchEvent(new Event("pitstop:page"));
}

function localTimes(root) {
  for (const time of root.querySelectorAll("time[data-style]")) {
    const ts = Date.parse(time.dateTime) / 1000;
    time.textContent = moment(ts, time.dataset.style);
    time.title = `${ago(ts)} · ${time.dateTime}`;
  }
}

function forInput(ts) {
  const at = new Date(ts * 1000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

/** The present address with another range. */
export function withRange(from, to) {
  const url = new URL(location.href);
  url.searchParams.delete("last");
  url.searchParams.delete("days");
  const middle = (from + to) / 2;
  const half = Math.max(5, (to - from) / 2); // ten seconds are the shortest range
  url.searchParams.set("from", String(Math.floor(middle - half)));
  url.searchParams.set("to", String(Math.ceil(middle + half)));
  return url;
}

const ours = (url) => url.origin === location.origin && (url.pathname === base || url.pathname.startsWith(`${base}/`)) && !url.pathname.startsWith(`${base}/api/`);

async function get(url) {
  const response = await fetch(url, { headers: { accept: "text/html" }, credentials: "same-origin" });
  const got = new URL(response.url);
  if (got.pathname === `${base}/sign-in`) { location.assign(got); return null; }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return page.getElementById("main") ? page : null;
}

/** Show the page at `url`; by the browser itself when it cannot be done softly. */
export async function go(url, { push = true } = {}) {
  const wanted = ++current;
  document.body.classList.add("loading");
  try {
    const page = await get(url);
    if (wanted !== current) return;
    if (!page) { location.assign(url); return; }
    const samePath = new URL(url, location.href).pathname === location.pathname;
    const left = [document.activeElement?.id, scrollY];
    for (const id of ["nav", "bar", "main"]) document.getElementById(id).replaceWith(document.adoptNode(page.getElementById(id)));
    document.title = page.title;
    if (push) history.pushState(null, "", url);
    settle();
    if (!samePath) { scrollTo(0, 0); main().focus({ preventScroll: true }); } else if (left[0]) document.getElementById(left[0])?.focus({ preventScroll: true });
    say(page.title);
  } catch {
    if (wanted === current) location.assign(url);
  } finally {
    document.body.classList.remove("loading");
  }
}

/** New numbers in the same page. Nothing under the pointer or holding the focus is touched, but for what was changed. */
export async function refresh(changed = false) {
  const wanted = current;
  const page = await get(location.href);
  if (!page || wanted !== current) return;
  const fresh = page.getElementById("main");
  const kinds = (root) => [...root.querySelectorAll(".plot")].map((plot) => plot.dataset.chart).join();
  if (kinds(fresh) !== kinds(main())) { await go(location.href, { push: false }); return; }
  for (const now of document.querySelectorAll("#main [data-live], #nav [data-live]")) {
    const next = page.querySelector(`[data-live="${CSS.escape(now.dataset.live)}"]`);
    if (!next || (!changed && (now.matches(":hover") || now.contains(document.activeElement))) || now.isEqualNode(next)) continue;
    if (now.querySelector(".at")) keepPlace(now, next);
    now.replaceWith(document.adoptNode(next));
    localTimes(next);
  }
  filterAgain();
  charts.update(fresh.querySelector("#island").textContent);
}

function keepPlace(now, next) {
  const name = now.querySelector(".at").dataset.href;
  [...next.children].find((row) => row.dataset.href === name)?.classList.add("at");
}

addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href);
  if (link.hasAttribute("download") || link.target || !ours(url) || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  go(url);
});
addEventListener("popstate", () => go(location.href, { push: false }));
addEventListener("submit", (event) => {
  if (event.target.dataset?.form !== "filter") return;
  event.preventDefault();
  const url = new URL(event.target.action);
  for (const [name, value] of new FormData(event.target)) if (value && !(name === "by" && value === "newest") && !(name === "against" && value === "none")) url.searchParams.set(name, value);
  go(url);
});
addEventListener("change", (event) => { if (event.target.matches?.('[data-form="filter"] select')) event.target.form.requestSubmit(); });
addEventListener("submit", (event) => {
  if (event.target.dataset?.form !== "range") return;
  event.preventDefault();
  const [from, to] = ["from", "to"].map((name) => Date.parse(event.target.elements[name].value) / 1000);
  const end = event.target.elements.to;
  end.setCustomValidity(to - from >= 10 ? "" : "to must lie at least 10 s after from");
  if (event.target.reportValidity()) go(withRange(from, to));
});
addEventListener("input", (event) => event.target.setCustomValidity?.(""));
