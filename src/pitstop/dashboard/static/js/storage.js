// Housekeeping: counts first, asks once and names what goes.

import { count, bytes, moment } from "./format.js";
import { refresh } from "./page.js";
import { role, send, sure } from "./send.js";

const post = (path, body) => send("POST", path, body);

async function prune(form) {
  const before = Math.floor(Date.now() / 1000) - Number(form.elements.days.value) * 86400;
  const out = role("prune-result");
  out.textContent = "Counting …";
  try {
    const { rows } = await post("storage/prune", { before_s: before, dry_run: true });
    if (!rows) { out.textContent = `Nothing is older than ${moment(before, "full")}.`; return; }
    out.textContent = `${count(rows)} rows are older than ${moment(before, "full")}.`;
    if (!(await sure(`${count(rows)} rows from before ${moment(before, "full")} go, in every table of this store. There is no way back.`))) return;
    out.textContent = "Deleting …";
    const done = await post("storage/prune", { before_s: before, dry_run: false });
    out.textContent = `${count(done.rows)} rows deleted.`;
    await refresh();
  } catch (error) {
    out.textContent = `Not done: ${error.message}`;
  }
}

export async function checkpoint(button) {
  button.disabled = true;
  const out = role("checkpoint-result");
  try {
    const { log_bytes: log } = await post("storage/checkpoint");
    out.textContent = log ? `${bytes(log)} of log folded.` : "There was nothing to fold.";
    await refresh();
  } catch (error) {
    out.textContent = `Not done: ${error.message}`;
  } finally {
    button.disabled = false;
  }
}

addEventListener("submit", (event) => { if (event.target.dataset?.form === "prune") { event.preventDefault(); prune(event.target); } });
