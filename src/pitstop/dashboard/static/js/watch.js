// Alerts, silences, channels: buttons and forms that send one change each, and say what came of it.

import { duration } from "./format.js";
import { go, refresh, say } from "./page.js";
import { role, send, sure } from "./send.js";

/** A form's fields as the API takes them: data-as says which are lists, maps, flags or lengths of time. */
function fieldsOf(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    const { as } = field.dataset;
    if (as === "list") { body[field.name] ??= []; if (field.checked) body[field.name].push(field.value); }
    else if (as === "flag") body[field.name] = field.checked;
    else if (as === "until") body[field.name] = Date.now() / 1000 + Number(field.value);
    else if (as === "map") body[field.name] = mapOf(field.value);
    else body[field.name] = field.value;
  }
  return body;
}

/** `name=value` lines as an object. Throws an Error that names the line that is none. */
export function mapOf(text) {
  const pairs = text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`“${line}” is no label: write name=value, as in service=shop*`);
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  });
  return Object.fromEntries(pairs);
}

/** Say what happened where it is seen, and to whoever listens. */
export function tell(text, bad = false) {
  say(text);
  const heard = role("heard");
  if (!heard) return;
  heard.textContent = text;
  heard.hidden = false;
  heard.classList.toggle("worse", bad);
  if (document.activeElement === document.body) heard.focus({ preventScroll: true }); // what was pressed may be gone
}

async function done(then, what) {
  if (then) await go(new URL(then, location.href));
  else await refresh(true);
  tell(what);
}

async function press(button) {
  const [method, path] = button.dataset.send.split(/ (.*)/);
  const verb = button.textContent.trim();
  if (button.dataset.sure && !(await sure(button.dataset.sure, verb))) return;
  button.disabled = true;
  try {
    await send(method, path);
    await done(button.dataset.then, `${verb}: done.`);
  } catch (error) {
    tell(`Not done: ${error.message}`, true);
    button.disabled = false;
  }
}

async function submit(form) {
  const [method, path] = form.dataset.send.split(/ (.*)/);
  const button = form.querySelector("button.on"), said = role("said", form);
  const verb = button.textContent.trim();
  button.disabled = true;
  said.classList.remove("worse");
  said.textContent = `${verb} …`;
  try {
    await send(method, path, fieldsOf(form));
    form.closest("dialog")?.close();
    if (!form.dataset.then) form.reset();
    said.textContent = "";
    await done(form.dataset.then, `${verb}: done.`);
  } catch (error) {
    said.textContent = `Not done: ${error.message}`;
    said.classList.add("worse");
  } finally {
    button.disabled = false;
  }
}

async function test(button) {
  const name = button.dataset.test;
  const list = role("tested");
  const buttons = document.querySelectorAll("[data-test]");
  for (const one of buttons) one.disabled = true;
  list.hidden = false;
  list.replaceChildren(item(`Asking ${name || "every channel"} …`));
  try {
    const results = await send("POST", "channels/test", { name: name || null });
    list.replaceChildren(...results.map((one) => item(one.ok ? `✓ ${one.channel} took it in ${duration(one.took_s)}` : `▲ ${one.channel} did not take it, after ${duration(one.took_s)}: ${one.problem}`, one.ok ? "better" : "worse")));
    const failed = results.filter((one) => !one.ok).length;
    say(failed ? `${failed} of ${results.length} tests failed` : `${results.length} tests were taken`);
  } catch (error) {
    list.replaceChildren(item(`Not sent: ${error.message}`, "worse"));
  } finally {
    for (const one of document.querySelectorAll("[data-test]")) one.disabled = false;
  }
}

const item = (textContent, className = "") => Object.assign(document.createElement("li"), { textContent, className });

export function silence(button) {
  const dialog = document.getElementById("silence");
  const form = dialog.querySelector("form");
  form.reset();
  role("said", form).textContent = "";
  form.elements.matches.value = button.dataset.matches ?? "";
  dialog.showModal();
  (button.dataset.matches ? form.elements.why : form.elements.matches).focus();
}

addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-send], button[data-test]");
  if (!button) return;
  if (button.dataset.send) press(button); else test(button);
});
addEventListener("submit", (event) => { if (event.target.dataset?.form === "send") { event.preventDefault(); submit(event.target); } });
