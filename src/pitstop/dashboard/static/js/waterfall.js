// The waterfall of a trace: a tree of rows of which only those in sight exist, and a map of all of them above it.

import { cutMiddle, count, duration, milliseconds, ratio } from "./format.js";
import { color } from "./theme.js";

const ROW = 26, LANE = 1000, TICK = 1.2; // pixels a row; units of a lane; units below which bars melt into one
const MAP_HEIGHT = 56;
const WAITS = { pool_wait: "waited for the pool", loop_wait: "waited for the event loop", gap: "" };

let shown = null; // the waterfall on this page

const el = (tag, props = {}, ...children) => { const made = Object.assign(document.createElement(tag), props); made.append(...children); return made; };
const svg = (tag, attributes) => { const made = document.createElementNS("http://www.w3.org/2000/svg", tag); for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value); return made; };

/** Rows as objects; they come as arrays in the order of the tree, `size` rows below each. */
function read(data) {
  const rows = data.rows.map(([depth, kind, name, note, start, length, self, size, times, id, outcome, line, attrs, amount], index) => ({ index, depth, kind: data.kinds[kind], what: data.what[kind], name: data.texts[name], note: data.texts[note], start, length, self, size, times, id, outcome: data.texts[outcome], line: data.texts[line], attrs: data.attrs[attrs], amount, up: -1 }));
  const open = [];
  for (const row of rows) { open.length = row.depth; row.up = open.at(-1) ?? -1; open[row.depth] = row.index; }
  return rows;
}

class Waterfall {
  constructor(root, data) {
    Object.assign(this, { root, data, rows: read(data), total: data.total_us, from: 0, to: data.total_us, at: -1, first: -1, last: -1 });
    this.body = root.querySelector(".wf-body");
    this.head = root.querySelector(".wf-scale");
    this.detail = document.getElementById("span");
    this.map = root.querySelector(".wf-map canvas");
    this.pane = el("div", { className: "wf-pane" });
    this.shut = new Set(this.rows.filter((row) => row.times).map((row) => row.index));
    this.made = new Map();
    this.body.replaceChildren(this.pane);
    this.end = new AbortController();
    this.listen(this.end.signal);
    this.arrange();
    this.watch = new ResizeObserver(() => { this.drawMap(); this.fill(true); });
    this.watch.observe(this.body);
    const wanted = new URLSearchParams(location.search).get("span");
    const found = wanted === null ? -1 : this.rows.findIndex((row) => row.id === wanted);
    if (found >= 0) this.select(found, { reveal: true });
  }

  stop() { this.end.abort(); this.watch.disconnect(); }

  /** Which rows are open to view, top to bottom. */
  arrange() {
    this.order = [];
    this.place = new Map();
    for (let i = 0; i < this.rows.length; i += 1) {
      this.place.set(i, this.order.length);
      this.order.push(i);
      if (this.shut.has(i)) i += this.rows[i].size;
    }
    this.pane.style.height = `${this.order.length * ROW}px`;
    this.body.setAttribute("aria-rowcount", String(this.order.length));
    this.scale();
    this.fill(true);
  }

  /** Make the rows in sight, and let go of the others. */
  fill(anew = false) {
    const first = Math.max(0, Math.floor(this.body.scrollTop / ROW) - 4);
    const last = Math.min(this.order.length, Math.ceil((this.body.scrollTop + this.body.clientHeight) / ROW) + 4);
    if (!anew && first === this.first && last === this.last) return;
    if (anew) { for (const made of this.made.values()) made.remove(); this.made.clear(); }
    for (const [i, made] of this.made) { const place = this.place.get(i); if (place === undefined || place < first || place >= last) { made.remove(); this.made.delete(i); } }
    for (let place = first; place < last; place += 1) {
      const i = this.order[place];
      if (!this.made.has(i)) this.made.set(i, this.pane.appendChild(this.row(this.rows[i], place)));
    }
    [this.first, this.last] = [first, last];
    this.drawMap();
  }

  row(row, place) {
    const made = el("div", { className: `wf-row${row.index === this.at ? " at" : ""}`, id: `wf-${row.index}`, role: "row" });
    made.style.top = `${place * ROW}px`;
    made.dataset.row = row.index;
    made.setAttribute("aria-level", String(row.depth + 1));
    made.setAttribute("aria-selected", String(row.index === this.at));
    const name = el("div", { className: "n", role: "gridcell" });
    name.style.paddingLeft = `${row.depth * this.data.indent}px`;
    const twist = el("span", { className: "twist", textContent: row.size ? (this.shut.has(row.index) ? "▸" : "▾") : "" });
    if (row.size) made.setAttribute("aria-expanded", String(!this.shut.has(row.index)));
    const text = el(row.kind === "gap" ? "em" : "code", { textContent: cutMiddle(row.kind === "db" ? short(row.name) : row.name, 120), title: row.name });
    name.append(twist, text);
    if (row.times) name.append(el("b", { className: row.kind === "db" ? "times" : "times calm", textContent: `× ${count(row.times)}` }));
    if (row.note) name.append(el("small", { textContent: row.note, title: row.note }));
    const lane = el("div", { className: "b", role: "gridcell" });
    this.bars(lane, row);
    made.append(name, lane, el("div", { className: "t", role: "gridcell", textContent: milliseconds(row.length / 1e6) }), el("div", { className: "t opt", role: "gridcell", textContent: row.kind === "gap" ? "" : milliseconds(row.self / 1e6) }));
    return made;
  }

  bars(lane, row) {
    const span = this.to - this.from;
    const at = (time) => ((time - this.from) / span) * LANE;
    const drawing = svg("svg", { class: "lane", viewBox: `0 0 ${LANE} 12`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const parts = row.times ? this.rows.slice(row.index + 1, row.index + 1 + row.size).filter((one) => one.depth === row.depth + 1) : [row];
    let path = "", end = -Infinity;
    for (const part of parts) {
      const left = Math.max(0, at(part.start)), right = Math.min(LANE, Math.max(at(part.start + part.length), left + 2));
      if (right <= 0 || left >= LANE || right - end < TICK) continue;
      const x = Math.max(left, end);
      path += `M${x.toFixed(2)} 0H${right.toFixed(2)}V12H${x.toFixed(2)}Z`;
      end = right;
    }
    drawing.append(svg("path", { d: path, class: `k-${row.kind}${row.depth === 0 || row.size && !row.times ? " has" : ""}` }));
    lane.append(drawing);
    const words = WAITS[row.kind];
    const right = at(row.start + row.length);
    if (words && right > 0 && at(row.start) < LANE) {
      const label = el("em", { textContent: words });
      if (right < LANE * 0.7) label.style.left = `calc(${right / 10}% + 6px)`; else label.style.right = `calc(${100 - Math.max(0, at(row.start)) / 10}% + 6px)`;
      lane.append(label);
    }
  }

  scale() {
    const texts = [0, 0.25, 0.5, 0.75, 1].map((part) => this.from + (this.to - this.from) * part);
    this.head.replaceChildren(...texts.map((time, i) => el("span", { textContent: i ? milliseconds(time / 1e6) : milliseconds(time / 1e6) + " ms" })));
    this.root.classList.toggle("zoomed", this.from > 0 || this.to < this.total);
  }

  zoom(from, to) {
    const least = Math.max(this.total / 1e5, 1);
    const middle = (from + to) / 2, half = Math.max(least, to - from) / 2;
    this.from = Math.max(0, middle - half);
    this.to = Math.min(this.total, middle + half);
    this.scale();
    this.fill(true);
  }

  /** All bars, small: where in the tree and in time the visible part lies. */
  drawMap() {
    const ratio = devicePixelRatio || 1, width = this.map.clientWidth;
    if (!width) return;
    if (this.map.width !== Math.round(width * ratio)) { this.map.width = Math.round(width * ratio); this.map.height = MAP_HEIGHT * ratio; this.picture = null; }
    const pen = this.map.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, MAP_HEIGHT);
    const step = MAP_HEIGHT / Math.max(this.order.length, 8);
    if (!this.picture || this.pictured !== this.order) {
      const canvas = this.picture = Object.assign(document.createElement("canvas"), { width: this.map.width, height: this.map.height });
      this.pictured = this.order;
      const ink = canvas.getContext("2d");
      ink.scale(ratio, ratio);
      this.order.forEach((i, place) => {
        const row = this.rows[i];
        ink.globalAlpha = row.depth === 0 ? 0.3 : row.kind === "gap" ? 0.25 : 0.95;
        ink.fillStyle = color(hue(row.kind));
        ink.fillRect((row.start / this.total) * width, place * step, Math.max(1, (row.length / this.total) * width), Math.max(1, step * 0.8));
      });
    }
    pen.drawImage(this.picture, 0, 0, width, MAP_HEIGHT);
    pen.fillStyle = color("bg");
    pen.globalAlpha = 0.72;
    const left = (this.from / this.total) * width, right = (this.to / this.total) * width;
    const top = (this.body.scrollTop / ROW) * step, bottom = ((this.body.scrollTop + this.body.clientHeight) / ROW) * step;
    pen.fillRect(0, 0, left, MAP_HEIGHT);
    pen.fillRect(right, 0, width - right, MAP_HEIGHT);
    if (this.pane.clientHeight > this.body.clientHeight + ROW) { pen.globalAlpha = 0.5; pen.fillRect(left, 0, right - left, top); pen.fillRect(left, bottom, right - left, MAP_HEIGHT); }
    pen.globalAlpha = 1;
    if (this.drag) { pen.strokeStyle = color("accent"); pen.strokeRect(Math.min(...this.drag) + 0.5, 0.5, Math.abs(this.drag[1] - this.drag[0]), MAP_HEIGHT - 1); }
  }

  toggle(i, shut = !this.shut.has(i)) {
    if (!this.rows[i]?.size) return;
    if (shut) this.shut.add(i); else this.shut.delete(i);
    this.arrange();
  }

  select(i, { reveal = false } = {}) {
    if (reveal) {
      let opened = false;
      for (let up = this.rows[i].up; up >= 0; up = this.rows[up].up) opened = this.shut.delete(up) || opened;
      if (opened) this.arrange();
    }
    this.made.get(this.at)?.classList.remove("at");
    this.at = i;
    const top = this.place.get(i) * ROW;
    if (top < this.body.scrollTop) this.body.scrollTop = top;
    else if (top + ROW > this.body.scrollTop + this.body.clientHeight) this.body.scrollTop = top + ROW - this.body.clientHeight;
    this.fill();
    const made = this.made.get(i);
    made?.classList.add("at");
    made?.setAttribute("aria-selected", "true");
    this.body.setAttribute("aria-activedescendant", `wf-${i}`);
    this.tell(this.rows[i]);
    const url = new URL(location.href);
    url.searchParams.set("span", this.rows[i].id);
    history.replaceState(history.state, "", url);
  }

  close() {
    this.made.get(this.at)?.classList.remove("at");
    this.at = -1;
    this.detail.hidden = true;
    this.body.removeAttribute("aria-activedescendant");
    const url = new URL(location.href);
    url.searchParams.delete("span");
    history.replaceState(history.state, "", url);
  }

  tell(row) {
    const facts = [["took", duration(row.length / 1e6)], ["itself", row.kind === "gap" ? "" : duration(row.self / 1e6)], ["began after", duration(row.start / 1e6)], ["of the whole", ratio(row.length / this.total)],
      ["times", row.times ? count(row.times) : ""], ["outcome", row.outcome], [row.kind === "db" ? "rows" : "bytes", row.amount ? count(row.amount) : ""], ...row.attrs];
    const list = el("dl");
    for (const [name, value] of facts) if (value !== "") list.append(el("dt", { textContent: name }), el("dd", { textContent: value }));
    const children = [el("h3", {}, el("span", { textContent: row.what }), el("button", { type: "button", className: "link", textContent: "close", onclick: () => { this.close(); this.body.focus(); } })), el("pre", { textContent: row.name })];
    if (row.line) children.push(el("p", {}, "from ", el("code", { textContent: row.line })));
    children.push(list);
    const links = { db: ["This statement on all requests", this.data.links.db], http: ["This route", this.data.links.http] };
    if (Object.hasOwn(links, row.kind) && !row.id.startsWith("gap")) children.push(el("p", {}, el("a", { className: "pick", href: links[row.kind][1] + encodeURIComponent(row.name), textContent: links[row.kind][0] })));
    const plan = row.kind === "db" ? (this.data.plans ?? []).indexOf(row.name) : -1;
    if (plan >= 0) children.push(el("p", {}, el("a", { className: "pick", href: `#plan-${plan + 1}`, textContent: "Its plan" })));
    this.detail.replaceChildren(...children);
    this.detail.hidden = false;
  }

  key(event) {
    const place = this.at < 0 ? -1 : this.place.get(this.at) ?? -1;
    const page = Math.max(1, Math.floor(this.body.clientHeight / ROW) - 1);
    const to = (wanted) => this.select(this.order[Math.min(this.order.length - 1, Math.max(0, wanted))]);
    const row = this.rows[this.at];
    const acts = {
      ArrowDown: () => to(place + 1), ArrowUp: () => to(place < 0 ? 0 : place - 1), j: () => to(place + 1), k: () => to(place - 1),
      PageDown: () => to(place + page), PageUp: () => to(place - page), Home: () => to(0), End: () => to(this.order.length - 1),
      ArrowRight: () => { if (row?.size && this.shut.has(this.at)) this.toggle(this.at, false); else if (row?.size) to(place + 1); },
      ArrowLeft: () => { if (row?.size && !this.shut.has(this.at)) this.toggle(this.at, true); else if (row && row.up >= 0) this.select(row.up); },
      Enter: () => this.toggle(this.at), " ": () => this.toggle(this.at),
      z: () => row && this.zoom(row.start - row.length * 0.1, row.start + row.length * 1.1),
      Escape: () => { if (this.from > 0 || this.to < this.total) this.zoom(0, this.total); else this.close(); },
      e: () => this.all(false), c: () => this.all(true),
    };
    if (event.metaKey || event.ctrlKey || event.altKey || !Object.hasOwn(acts, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }

  all(shut) {
    this.shut = new Set(shut ? this.rows.filter((row) => row.size && row.depth).map((row) => row.index) : []);
    if (this.at >= 0) for (let up = this.rows[this.at].up; up >= 0; up = this.rows[up].up) if (this.shut.has(up)) this.at = up;
    this.arrange();
  }

  listen(signal) {
    const on = (target, name, act, more = {}) => target.addEventListener(name, act, { signal, ...more });
    let asked = false;
    on(this.body, "scroll", () => { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; this.fill(); }); } }, { passive: true });
    on(this.body, "keydown", (event) => this.key(event));
    on(this.body, "click", (event) => {
      const made = event.target.closest(".wf-row");
      if (!made) return;
      const i = Number(made.dataset.row);
      if (event.target.closest(".twist")) this.toggle(i); else this.select(i);
    });
    on(this.body, "dblclick", (event) => { const made = event.target.closest(".wf-row"); if (made && !event.target.closest(".twist")) this.toggle(Number(made.dataset.row)); });
    for (const button of this.root.querySelectorAll("[data-wf]")) on(button, "click", () => ({ open: () => this.all(false), shut: () => this.all(true), whole: () => this.zoom(0, this.total) })[button.dataset.wf]());
    const x = (event) => Math.min(this.map.clientWidth, Math.max(0, event.clientX - this.map.getBoundingClientRect().left));
    on(this.map, "pointerdown", (event) => { this.map.setPointerCapture(event.pointerId); this.drag = [x(event), x(event)]; this.down = event.clientY; });
    on(this.map, "pointermove", (event) => { if (this.drag) { this.drag[1] = x(event); this.drawMap(); } });
    on(this.map, "pointerup", (event) => {
      if (!this.drag) return;
      const [from, to] = this.drag.toSorted((a, b) => a - b).map((at) => (at / this.map.clientWidth) * this.total);
      const far = Math.abs(this.drag[1] - this.drag[0]) > 4;
      this.drag = null;
      if (far) { this.zoom(from, to); return; }
      const place = ((event.clientY - this.map.getBoundingClientRect().top) / MAP_HEIGHT) * Math.max(this.order.length, 8);
      this.body.scrollTop = place * ROW - this.body.clientHeight / 2;
      this.drawMap();
    });
    on(this.map, "dblclick", () => this.zoom(0, this.total));
  }
}

export const hue = (kind) => ({ db: "db", transaction: "db", cache: "cache", http_client: "http-client", template: "template", gc: "gc", pool_wait: "wait", loop_wait: "loop-wait", queue: "queue", gap: "faint" })[kind] ?? "own";

/** A statement without the list of its columns: what it reads from tells it apart. */
export const short = (name) => name.replace(/^(select) .{12,}? (from .*)$/i, "$1 … $2");

/** Draw the waterfall of the page, if it has one. */
export function draw(island) {
  shown?.stop();
  const root = document.getElementById("waterfall");
  shown = root && island.waterfall ? new Waterfall(root, island.waterfall) : null;
}

export function recolor() { if (shown) { shown.picture = null; shown.drawMap(); } }
