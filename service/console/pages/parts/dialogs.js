/** Dialogs: the browser's own element, which keeps the focus inside and gives it back. */

import { el } from "./element.js";
import { keysAreOn, switchKeys } from "./keys.js";

function show(content, name) {
  return new Promise((done) => {
    const dialog = el("dialog", { "aria-label": name }, content);
    dialog.addEventListener("close", () => {
      dialog.remove();
      done(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.returnValue = "";
    dialog.showModal();
  });
}

/** Ask before something is done that can't be taken back. True: yes. */
export async function confirmed(title, words, verb) {
  const answer = await show(
    el(
      "form",
      { method: "dialog" },
      el("h2", null, title),
      words.map((line) => el("p", null, line)),
      el(
        "div",
        { class: "dialog-end" },
        el("button", { value: "" }, "Back"),
        el("button", { value: "yes", class: "danger" }, verb),
      ),
    ),
    title,
  );
  return answer === "yes";
}

/**
 * Ask for the token. `check(token)` signs in and throws an error whose message is shown. True: signed in.
 */
export async function askForToken(check) {
  const problem = el("p", { class: "problem", role: "alert", id: "token-problem" });
  const field = el("input", {
    type: "password",
    id: "token",
    name: "token",
    autocomplete: "current-password",
    required: true,
    "aria-describedby": "token-problem",
  });
  const submit = el("button", { class: "primary", type: "submit" }, "Sign in");
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", null, "Sign in to act"),
    el("p", null, "Redrive, discard and cancel need the token of this console: REELWIRE_CONSOLE__TOKEN of its process."),
    el("label", { for: "token" }, "Token"),
    field,
    problem,
    el(
      "div",
      { class: "dialog-end" },
      el("button", { type: "button", onclick: (event) => event.target.closest("dialog").close("") }, "Back"),
      submit,
    ),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.textContent = "";
    try {
      await check(field.value);
      form.closest("dialog").close("yes");
    } catch (error) {
      problem.textContent = error.message;
      field.select();
    } finally {
      submit.disabled = false;
    }
  });
  return (await show(form, "Sign in to act")) === "yes";
}

const KEYS = [
  ["j  or  ↓", "Next row"],
  ["k  or  ↑", "Row before"],
  ["Enter", "Open the row"],
  ["/", "Search, or the first filter"],
  ["p", "Hold the list still, or let it go on"],
  ["Esc", "Back to the list; leave a field"],
  ["1  2  3  4", "Requests, dead letters, cost, partitions"],
  ["?", "These keys"],
];

/** What the keys do, and the switch for them. */
export function showKeys() {
  const toggle = el("input", { type: "checkbox", onchange: (event) => switchKeys(event.target.checked) });
  toggle.checked = keysAreOn();
  return show(
    el(
      "form",
      { method: "dialog" },
      el("h2", null, "Keyboard"),
      el("dl", { class: "keys" }, KEYS.map(([key, does]) => [el("dt", null, el("kbd", null, key)), el("dd", null, does)])),
      el("label", { class: "check" }, toggle, "Single letters are keys"),
      el("div", { class: "dialog-end" }, el("button", { class: "primary" }, "Close")),
    ),
    "Keyboard",
  );
}
