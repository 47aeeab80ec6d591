// The live socket: a figure each second in the header; and the page drawn anew while its range ends now.

import { duration, rate } from "./format.js";
import { main, refresh } from "./page.js";

const base = document.querySelector(".app").dataset.base;
let socket = null, retryMs = 1000, timer = 0, drawnAt = performance.now(), service = null, busy = false;

const on = () => sessionStorage.getItem("pitstop.live") !== "off";

function show(state, text) {
  const button = document.getElementById("live");
  button.dataset.state = state;
  button.setAttribute("aria-pressed", String(on()));
  if (text !== undefined) document.getElementById("now").replaceChildren(...text);
}

const span = (className, textContent) => Object.assign(document.createElement("span"), { className, textContent });

function hear({ data }) {
  const now = JSON.parse(data);
  retryMs = 1000;
  if (now.error) { show("lost", ["store unavailable"]); document.getElementById("live").title = now.error; return; }
  const dot = document.querySelector("#live i");
  dot.classList.remove("beat");
  requestAnimationFrame(() => dot.classList.add("beat"));
  show("on", [`${rate(now.requests_per_s)}/s`, span("more", now.p95_s === null ? "" : ` · P95 ${duration(now.p95_s)}`)]);
  const every = Number(main().dataset.refresh) * 1000;
  if (!every || busy || document.hidden || performance.now() - drawnAt < every) return;
  busy = true;
  drawnAt = performance.now();
  refresh().catch(() => {}).finally(() => { busy = false; });
}

function open() {
  clearTimeout(timer);
  if (!on() || document.hidden) { show("off", ["live off"]); return; }
  service = main().dataset.service;
  const url = new URL(`${base}/api/v1/live`, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (service) url.searchParams.set("service", service);
  const mine = socket = new WebSocket(url);
  show("off", ["live"]);
  mine.onmessage = (event) => { if (mine === socket) hear(event); };
  mine.onclose = ({ code }) => {
    if (mine !== socket) return;
    socket = null;
    if (code === 1008) { location.reload(); return; }
    show("lost", ["reconnecting"]);
    timer = setTimeout(open, retryMs * (0.5 + Math.random()));
    retryMs = Math.min(retryMs * 2, 30000);
  };
}

function close() {
  const old = socket;
  socket = null;
  old?.close();
}

export function toggle() {
  sessionStorage.setItem("pitstop.live", on() ? "off" : "on");
  close();
  open();
}

export function start() {
  open();
  addEventListener("pitstop:page", () => { drawnAt = performance.now(); if (service !== main().dataset.service || !socket) { close(); open(); } });
  document.addEventListener("visibilitychange", () => { close(); open(); });
}
