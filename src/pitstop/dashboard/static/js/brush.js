// Dragging across the duration histogram sets the shortest and longest duration in the address.

import { duration } from "./format.js";
import { go } from "./page.js";

const listening = new WeakSet();

export function draw() {
  const plot = document.querySelector(".histogram svg");
  if (!plot || listening.has(plot)) return;
  listening.add(plot);
  const edges = plot.dataset.edges.split(" ").map(Number);
  const box = plot.querySelector(".chosen"), note = document.querySelector(".histogram .note");
  const width = Number(plot.viewBox.baseVal.width);
  const bars = edges.length - 1;
  let start = null;
  const at = (event) => { const area = plot.getBoundingClientRect(); return Math.min(width, Math.max(0, ((event.clientX - area.left) / area.width) * width)); };
  const bar = (x) => Math.min(bars - 1, Math.floor((x / width) * bars));
  const range = (x) => { const [a, b] = [bar(start), bar(x)].sort((m, n) => m - n); return [a, b + 1]; };
  plot.addEventListener("pointerdown", (event) => { if (event.button === 0) { start = at(event); plot.setPointerCapture(event.pointerId); event.preventDefault(); } });
  plot.addEventListener("pointermove", (event) => {
    if (start === null) return;
    const [a, b] = range(at(event));
    box.setAttribute("x", String((a / bars) * width));
    box.setAttribute("width", String(((b - a) / bars) * width));
    note.textContent = `${duration(edges[a])} – ${duration(edges[b])}`;
  });
  plot.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const [a, b] = range(at(event));
    start = null;
    const url = new URL(location.href);
    url.searchParams.set("min", String(edges[a]));
    url.searchParams.set("max", String(edges[b]));
    go(url);
  });
  plot.addEventListener("pointercancel", () => { start = null; box.setAttribute("width", "0"); });
}
