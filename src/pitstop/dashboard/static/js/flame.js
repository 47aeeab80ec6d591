// A flame graph on a canvas: outermost frames on top, as wide as their time. Only what is wider than a pixel is drawn.

import { duration, ratio } from "./format.js";
import { color } from "./theme.js";
import { say } from "./page.js";

const ROW = 19, LEAST_TEXT = 28; // pixels: a row; the narrowest frame with a word in it
const el = (tag, props = {}, ...children) => { const made = Object.assign(document.createElement(tag), props); made.append(...children); return made; };

let shown = null;

/** What colour a frame has: the service's own code, a library, Python itself, or waiting. */
export function family(name) {
  if (/\b(select|poll|epoll|wait|acquire|sleep|recv|recv_into|accept|read)\b[^(]*\(/i.test(name) && /\((?:<|threading|selectors|socket|queue|asyncio|concurrent|ssl|multiprocessing|lib)/.test(name)) return "wait";
  const file = name.slice(name.lastIndexOf("(") + 1);
  if (/^(?:<|~|gc\))|^(?:lib\/)?python\d|^(?:asyncio|threading|selectors|socket|json|re|logging|concurrent|importlib|contextlib|functools|collections|ssl|queue|email|http|urllib|runpy|socketserver|multiprocessing|encodings|copy|typing|enum|dataclasses|datetime|decimal|random|hashlib|base64|gzip|zlib|pickle|sqlite3|subprocess|unittest|wsgiref|xml|html|csv|io|os|abc|linecache|traceback|pathlib|tempfile|weakref|codecs|shutil|string|textwrap|tokenize|ast|inspect|heapq|bisect|statistics|secrets|uuid|posixpath|genericpath|stat|glob|fnmatch|locale|calendar|signal|zipfile|configparser|tomllib|zoneinfo|ipaddress|hmac|mimetypes|types|operator|numbers|fractions|graphlib|sched|warnings|contextvars)[/.]/.test(file)) return "std";
  if (/site-packages|dist-packages|^(?:starlette|fastapi|uvicorn|anyio|pydantic|flask|werkzeug|django|sqlalchemy|jinja2|gunicorn|granian|hypercorn|h11|httptools|httpx|httpcore|requests|urllib3|redis|asyncpg|psycopg\w*|pymysql|aiosqlite|celery|kombu|gevent|greenlet|litestar|markupsafe|click|msgspec|orjson|numpy|pandas|opentelemetry|pitstop|uvloop|aiohttp|botocore|boto3)[/.]/.test(file)) return "lib";
  return "own";
}

class Flame {
  constructor(root, data) {
    Object.assign(this, { root, data, diff: Boolean(data.before), top: 0, at: -1, over: -1, found: null });
    this.count = data.depth.length;
    this.canvas = root.querySelector("canvas");
    this.box = root.querySelector(".flame-box");
    this.path = root.querySelector(".flame-path");
    this.search = root.querySelector("input[type=search]");
    this.note = root.querySelector(".flame-note");
    this.tip = root.querySelector(".flame-tip");
    this.lay();
    this.families = new Map(); // of names that were drawn: most never are
    this.end = new AbortController();
    this.listen(this.end.signal);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.box);
    const query = new URLSearchParams(location.search);
    if (query.get("find")) { this.search.value = query.get("find"); this.find(this.search.value); }
    this.draw();
  }

  stop() { this.end.abort(); this.watch.disconnect(); }

  /** Where every frame begins, and which frames stand in each row, left to right. */
  lay() {
    const { depth, value } = this.data;
    this.start = new Float64Array(this.count);
    this.up = new Int32Array(this.count).fill(-1);
    this.rows = [];
    const open = [], used = [];
    for (let i = 0; i < this.count; i += 1) {
      const d = depth[i];
      open.length = d;
      const up = d ? open[d - 1] : -1;
      this.up[i] = up;
      this.start[i] = up < 0 ? 0 : this.start[up] + used[up];
      if (up >= 0) used[up] += value[i];
      used[i] = 0;
      open[d] = i;
      (this.rows[d] ??= []).push(i);
    }
  }

  familyOf(name) {
    let found = this.families.get(name);
    if (!found) this.families.set(name, found = family(this.data.names[name]));
    return found;
  }

  path_(i) { const path = []; for (let at = i; at >= 0; at = this.up[at]) path.unshift(at); return path; }

  draw() {
    const { value, depth, names, name } = this.data;
    const ratioOf = devicePixelRatio || 1, width = this.box.clientWidth;
    if (!width || !this.count) return;
    const lineage = this.path_(this.top), from = this.start[this.top], span = value[this.top] || 1, scale = width / span;
    const rows = this.deepest();
    const height = rows * ROW + 2;
    if (this.canvas.width !== Math.round(width * ratioOf) || this.canvas.height !== Math.round(height * ratioOf)) {
      this.canvas.width = Math.round(width * ratioOf);
      this.canvas.height = Math.round(height * ratioOf);
      this.canvas.style.height = `${height}px`;
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratioOf, 0, 0, ratioOf, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = `11.5px ${getComputedStyle(this.canvas).fontFamily}`;
    pen.textBaseline = "middle";
    const fills = Object.fromEntries(["own", "lib", "std", "wait"].map((one) => [one, color(`flame-${one}`)]));
    const text = color("text"), line = color("surface"), hit = color("flame-hit"), letter = pen.measureText("n").width;
    let drawn = 0;
    const box = (i, x, w, row, faded) => {
      pen.globalAlpha = faded ? 0.55 : 1;
      pen.fillStyle = this.found?.has(name[i]) ? hit : this.diff ? this.shade(i) : depth[i] ? fills[this.familyOf(name[i])] : color("sunken");
      pen.fillRect(x, row * ROW, Math.max(w - 0.6, 0.6), ROW - 1);
      if (w > LEAST_TEXT) {
        pen.fillStyle = text;
        const room = Math.floor((w - 8) / letter);
        const whole = names[name[i]];
        pen.fillText(whole.length <= room ? whole : room > 3 ? `${whole.slice(0, room - 1)}…` : "", x + 4, row * ROW + ROW / 2);
      }
      if (i === this.at) { pen.globalAlpha = 1; pen.strokeStyle = color("accent"); pen.lineWidth = 2; pen.strokeRect(x + 1, row * ROW + 1, Math.max(w - 2, 1), ROW - 3); }
      drawn += 1;
    };
    for (const i of lineage.slice(0, -1)) box(i, 0, width, depth[i], true);
    const last = from + span;
    for (let d = depth[this.top]; d < rows; d += 1) {
      const row = this.rows[d];
      let i = this.first(row, from);
      while (i < row.length) {
        const one = row[i], begin = this.start[one];
        if (begin >= last) break;
        const w = value[one] * scale, x = (begin - from) * scale;
        if (w >= 0.5) { if (begin >= from) box(one, x, w, d, false); i += 1; }
        else { // all that falls on this pixel is a hair: go on at the next one
          pen.globalAlpha = 0.6; pen.fillStyle = fills[this.familyOf(name[one])]; pen.fillRect(x, d * ROW, 0.6, ROW - 1);
          i = Math.max(i + 1, this.first(row, from + (Math.floor(x) + 1) / scale, i));
        }
      }
    }
    pen.globalAlpha = 1;
    pen.fillStyle = line;
    this.drawn = drawn;
    this.root.dataset.drawn = String(drawn);
  }

  deepest() {
    if (this.depthOf === this.top && this.depthIs) return this.depthIs;
    const last = this.start[this.top] + this.data.value[this.top];
    let d = this.data.depth[this.top];
    for (; d < this.rows.length; d += 1) { const row = this.rows[d], i = this.first(row, this.start[this.top]); if (i >= row.length || this.start[row[i]] >= last) break; }
    [this.depthOf, this.depthIs] = [this.top, Math.max(d, this.data.depth[this.top] + 1)];
    return this.depthIs;
  }

  /** The place of the first frame in `row` that does not begin before `value`. */
  first(row, value, low = 0) {
    let high = row.length;
    const least = value - 1e-9;
    while (low < high) { const middle = (low + high) >> 1; if (this.start[row[middle]] < least) low = middle + 1; else high = middle; }
    return low;
  }

  shade(i) {
    const change = this.change(i);
    if (Math.abs(change) < 0.001) return color("flame-same");
    const strength = Math.min(1, Math.abs(change) * 8);
    const name = change > 0 ? "flame-more" : "flame-less";
    return color(`${name}-${strength > 0.66 ? 3 : strength > 0.2 ? 2 : 1}`);
  }

  change(i) { return this.data.value[i] / (this.data.value[0] || 1) - this.data.before[i]; }

  frameAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const d = Math.floor((event.clientY - box.top) / ROW), x = event.clientX - box.left;
    if (d < 0 || !this.rows[d]) return -1;
    const top = this.data.depth[this.top];
    if (d < top) return this.path_(this.top)[d];
    const value = this.start[this.top] + (x / box.width) * this.data.value[this.top];
    const row = this.rows[d];
    const i = row[this.first(row, value + 2e-9) - 1];
    return i !== undefined && this.start[i] + this.data.value[i] >= value && this.start[i] >= this.start[this.top] - 1e-9 ? i : -1;
  }

  words(i) {
    const { names, name, value, self, before } = this.data;
    const whole = value[0] || 1;
    const parts = [`${duration(value[i] / 1e6)}, ${ratio(value[i] / whole)} of all`, `itself ${duration(self[i] / 1e6)}`];
    if (this.diff) { const change = this.change(i); parts[1] = `before ${ratio(before[i])}: ${change >= 0 ? "+" : "−"}${(Math.abs(change) * 100).toFixed(1)} points`; }
    return [names[name[i]], parts.join(" · ")];
  }

  hover(i, event) {
    this.over = i;
    this.tip.hidden = i < 0;
    if (i < 0) return;
    const [name, facts] = this.words(i);
    this.tip.replaceChildren(el("code", { textContent: name }), el("div", { textContent: facts }));
    const box = this.box.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    this.tip.style.left = `${Math.max(0, Math.min(x + 12, box.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${y + 16}px`;
  }

  zoom(i) {
    this.top = Math.max(0, i);
    this.depthIs = 0;
    this.at = this.top;
    const { names, name } = this.data;
    this.path.replaceChildren(...this.path_(this.top).flatMap((one, n) => [n ? " › " : "", el("button", { type: "button", className: "link", textContent: names[name[one]], onclick: () => this.zoom(one) })]));
    this.draw();
    say(this.words(this.top).join(": "));
  }

  choose(i) {
    if (i < 0 || i === undefined) return;
    this.at = i;
    this.draw();
    this.note.textContent = this.words(i).join(": ");
    say(this.words(i).join(": "));
  }

  find(text) {
    const { names, name, depth, value } = this.data;
    const url = new URL(location.href);
    if (text) url.searchParams.set("find", text); else url.searchParams.delete("find");
    history.replaceState(history.state, "", url);
    if (!text) { this.found = null; this.note.textContent = ""; this.draw(); return; }
    const wanted = text.toLowerCase();
    this.found = new Set(names.flatMap((one, i) => (one.toLowerCase().includes(wanted) ? [i] : [])));
    let sum = 0, frames = 0, below = Infinity;
    for (let i = 0; i < this.count; i += 1) { // what lies below a match is counted with it
      if (depth[i] <= below) below = Infinity;
      if (!this.found.has(name[i])) continue;
      frames += 1;
      if (below === Infinity) { sum += value[i]; below = depth[i]; }
    }
    this.note.textContent = frames ? `${ratio(sum / (value[0] || 1))} of the time is in or below what matches: ${frames} frames of ${this.found.size} functions` : "nothing matches";
    this.draw();
  }

  key(event) {
    const near = this.at < 0 ? this.top : this.at;
    const row = this.rows[this.data.depth[near]];
    const place = row.indexOf(near);
    const acts = {
      ArrowUp: () => this.choose(this.up[near]), ArrowLeft: () => this.choose(row[place - 1]), ArrowRight: () => this.choose(row[place + 1]),
      ArrowDown: () => { if (this.data.depth[near + 1] > this.data.depth[near]) this.choose(near + 1); },
      Enter: () => this.zoom(near), Escape: () => this.zoom(0),
    };
    if (event.metaKey || event.ctrlKey || event.altKey || !Object.hasOwn(acts, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }

  listen(signal) {
    const on = (target, name, act) => target?.addEventListener(name, act, { signal });
    on(this.canvas, "mousemove", (event) => this.hover(this.frameAt(event), event));
    on(this.canvas, "mouseleave", () => this.hover(-1));
    on(this.canvas, "click", (event) => { const i = this.frameAt(event); if (i >= 0) this.zoom(i); });
    on(this.canvas, "keydown", (event) => this.key(event));
    on(this.search, "input", () => this.find(this.search.value.trim()));
    on(this.root.querySelector('[data-flame="reset"]'), "click", () => { this.search.value = ""; this.find(""); this.zoom(0); });
    for (const link of document.querySelectorAll("[data-find]")) on(link, "click", (event) => { event.preventDefault(); this.search.value = link.dataset.find; this.find(link.dataset.find); this.root.scrollIntoView({ block: "start" }); });
  }
}

/** Draw the flame graph of the page, if it has one. */
export function draw(island) {
  shown?.stop();
  const root = document.getElementById("flame");
  shown = root && island.flame ? new Flame(root, island.flame) : null;
}

export function recolor() { shown?.draw(); }
