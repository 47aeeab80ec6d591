// Changes: sent with the page's CSRF token; what would destroy asks once and names what goes.

import { main } from "./page.js";

const base = document.querySelector(".app").dataset.base;

export const role = (name, root = document) => root.querySelector(`[data-role="${name}"]`);

/** What the API at `path` answers. Throws an Error that says in a line what was wrong and what to do. */
export async function send(method, path, body) {
  const response = await fetch(`${base}/api/v1/${path}`, { method, headers: { "content-type": "application/json", "x-csrf-token": main().dataset.csrf }, body: method === "DELETE" ? undefined : JSON.stringify(body ?? {}) });
  const answer = await response.json().catch(() => ({ error: { message: `the dashboard answered ${response.status}` } }));
  if (!response.ok) throw new Error([answer.error.message, answer.error.next].filter(Boolean).join("; "));
  return answer;
}

/** Whether somebody who was told `text` agrees. */
export function sure(text, verb = "Delete") {
  const dialog = document.getElementById("confirm");
  role("confirm-text").textContent = text;
  const yes = role("confirm-yes");
  if (yes) yes.textContent = verb;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
