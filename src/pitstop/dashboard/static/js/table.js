// Tables: sorted by a click, filtered by typing, walked with the arrows. Order and filter live in the address.

const filtered = () => document.querySelector('table[data-table~="filter"]');

export function sortBy(head) {
  const table = head.closest("table");
  const column = [...head.parentElement.children].indexOf(head);
  const words = "text" in head.dataset;
  const first = words ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? (first === "ascending" ? "descending" : "ascending") : first;
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const body = table.tBodies[0];
  const value = (row) => { const v = row.cells[column].dataset.v; return v === "None" || v === undefined ? null : words ? v : Number(v); };
  const byName = (a, b) => (a.dataset.name < b.dataset.name ? -1 : a.dataset.name > b.dataset.name ? 1 : 0);
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null) || byName(a, b);
    return x < y ? -sign : x > y ? sign : byName(a, b);
  });
  body.append(...rows);
  const url = new URL(location.href);
  url.searchParams.set("sort", head.dataset.sort);
  url.searchParams.set("order", order === "ascending" ? "asc" : "desc");
  history.replaceState(null, "", url);
}

/** Show the rows whose name holds every word that was typed. */
export function filterAgain() {
  const search = document.getElementById("search");
  const table = filtered();
  if (!search || !table) return;
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const name = row.dataset.name.toLowerCase();
    row.hidden = !words.every((word) => name.includes(word));
    if (!row.hidden) shown += 1;
  }
  const all = table.tBodies[0].rows.length;
  document.getElementById("shown").textContent = `${words.length ? `${shown} of ` : ""}${all} ${all === 1 ? table.dataset.noun.replace(/s$/, "") : table.dataset.noun}`;
  document.getElementById("nothing").hidden = shown > 0;
}

function keepFilter(value) {
  const url = new URL(location.href);
  if (value) url.searchParams.set("q", value); else url.searchParams.delete("q");
  history.replaceState(null, "", url);
}

/** Move the marked row by `step`; false when there is no table to walk. */
export function walk(step) {
  const table = document.querySelector('table[data-table~="walk"]');
  const rows = table ? [...table.tBodies[0].rows].filter((row) => !row.hidden) : [];
  if (!rows.length) return false;
  const at = rows.findIndex((row) => row.classList.contains("at"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step))];
  rows[at]?.classList.remove("at");
  next.classList.add("at");
  next.scrollIntoView({ block: "nearest" });
  next.querySelector("a").focus({ preventScroll: true });
  return true;
}

addEventListener("click", (event) => {
  const head = event.target.closest?.("th[data-sort]");
  if (head && !event.metaKey && !event.ctrlKey) { event.preventDefault(); sortBy(head); return; }
  const row = event.target.closest?.("tr[data-href]");
  if (row && !event.target.closest("a, button") && !getSelection().toString()) row.querySelector("a").click();
  if (event.target.closest?.('[data-act="clear-search"]')) { document.getElementById("search").value = ""; keepFilter(""); filterAgain(); }
}, true);
addEventListener("input", (event) => { if (event.target.id === "search") { keepFilter(event.target.value); filterAgain(); } });
