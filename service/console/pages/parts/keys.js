/** The keyboard. Keys do nothing while somebody types, while a dialog is open, or where they have been switched off. */

const SWITCH = "reelwire-keys";
let ofView = {};
let ofAll = {};

/** The keys of the view that is shown: functions by key, such as `j` or `Enter`. */
export function viewKeys(keys) {
  ofView = keys ?? {};
}

/** Keys that every view has. */
export function allKeys(keys) {
  ofAll = keys;
}

/** People who dictate to their computer switch single keys off. */
export function keysAreOn() {
  try {
    return localStorage.getItem(SWITCH) !== "off";
  } catch {
    // A browser that keeps nothing for pages.
    return true;
  }
}

export function switchKeys(on) {
  try {
    localStorage.setItem(SWITCH, on ? "on" : "off");
  } catch {
    // As above: the keys stay on.
  }
}

function types(target) {
  return target.closest("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]") !== null;
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  if (types(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key.length === 1 && !keysAreOn()) return;
  // Enter and the space bar belong to the link or button that has the focus.
  if ((event.key === "Enter" || event.key === " ") && event.target.closest("a, button, summary, input")) return;
  // And the arrows to a choice of several.
  if (event.key.startsWith("Arrow") && event.target.closest("input")) return;
  const act = ofView[event.key] ?? ofAll[event.key];
  if (!act) return;
  // False: not meant for this key after all, such as an arrow that scrolls.
  if (act(event) !== false) event.preventDefault();
});
