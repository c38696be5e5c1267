/** The frame of the page: navigation, connection, session, and which view is shown. */

import { link, read } from "./parts/address.js";
import { showKeys } from "./parts/dialogs.js";
import { el, put, say } from "./parts/element.js";
import { watchHealth } from "./parts/health.js";
import { allKeys, viewKeys } from "./parts/keys.js";
import { live, onLive, retryLive, startLive } from "./parts/live.js";
import { loadSession, onSession, session, signIn, signOut } from "./parts/session.js";
import { toast } from "./parts/speech.js";
import { moment } from "./parts/words.js";
import { costView } from "./views/cost.js";
import { deadLetterView } from "./views/dead_letter.js";
import { deadLettersView } from "./views/dead_letters.js";
import { partitionsView } from "./views/partitions.js";
import { requestView } from "./views/request.js";
import { requestsView } from "./views/requests.js";

const VIEWS = [["requests", "Requests"], ["dead-letters", "Dead letters"], ["cost", "Cost"], ["partitions", "Partitions"]];
const main = document.getElementById("main");
const banner = document.getElementById("banner");

/** The address each list had last, with its filters: the way back from one of its rows. */
const last = Object.fromEntries(VIEWS.map(([name]) => [name, link([name])]));
const seen = {};
let shown = null;
let unwell = "";
let view = null;

function open(parts, members) {
  const [name, ...rest] = parts;
  if (name === "requests" && rest.length === 1) return requestView(main, rest[0], () => last.requests);
  if (name === "dead-letters" && rest.length === 2) return deadLetterView(main, rest[0], rest[1], () => last["dead-letters"]);
  if (name === "dead-letters") return deadLettersView(main, members);
  if (name === "cost") return costView(main, members);
  if (name === "partitions") return partitionsView(main);
  return requestsView(main, members);
}

function route() {
  const { parts, members } = read();
  const [name] = parts;
  if (!VIEWS.some(([one]) => one === name)) return location.replace(link(["requests"]));
  const place = parts.join("/");
  if (place === shown) view.update(members);
  else {
    if (shown !== null) {
      const [list, ...row] = shown.split("/");
      if (row.length) seen[list] = row.join("/");
    }
    view?.close();
    const first = shown === null;
    shown = place;
    main.dataset.view = parts.length > 1 ? `${name}-one` : name;
    view = open(parts, members);
    viewKeys(view.keys);
    if (seen[name]) view.choose?.(seen[name]);
    document.title = `${view.title} · Reelwire console`;
    // The focus goes where the content is, so that a screen reader begins there; not at the first load.
    if (!first) {
      main.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }
  if (parts.length === 1) last[name] = location.hash;
  for (const item of document.querySelectorAll("#nav a")) {
    const own = item.dataset.name === name;
    if (own) item.setAttribute("aria-current", parts.length > 1 ? "true" : "page");
    else item.removeAttribute("aria-current");
    item.setAttribute("href", own ? link([item.dataset.name]) : last[item.dataset.name]);
  }
}

function showConnection() {
  const place = document.getElementById("link");
  const words = { joining: "Connecting…", live: "Live", lost: "Connection lost", resting: "Resting" };
  place.className = `link ${live.state}`;
  say(place, words[live.state]);
  showBanner();
}

function showBanner() {
  const lost = live.state === "lost";
  banner.hidden = !lost && unwell === "";
  if (banner.hidden) return banner.replaceChildren();
  if (!lost) return put(banner, el("p", null, `What you see is not all there is. ${unwell}.`));
  put(
    banner,
    el("p", null, `The connection was lost at ${moment(live.since)}. What you see is from then. It is tried again by itself.`),
    el("button", { type: "button", onclick: retryLive }, "Try now"),
  );
}

function showSession() {
  const place = document.getElementById("session");
  const leave = async () => {
    try {
      await signOut();
    } catch (error) {
      toast(error.message, true);
    }
  };
  const keys = el("button", { type: "button", class: "plain keys-button", onclick: showKeys, "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts (?)" }, "?");
  if (!session.actions_offered) {
    put(place, el("span", { class: "dim read-only", title: "Set REELWIRE_CONSOLE__TOKEN for the console's process to offer redrive, discard and cancel." }, "Read only"), keys);
  } else if (session.actions) put(place, el("button", { type: "button", class: "small", onclick: leave }, "Sign out"), keys);
  else put(place, el("button", { type: "button", class: "small", onclick: signIn }, "Sign in"), keys);
}

put(
  document.getElementById("nav"),
  VIEWS.map(([name, word]) => el("a", { href: link([name]), "data-name": name }, word)),
);
allKeys({
  "?": () => void showKeys(),
  ...Object.fromEntries(VIEWS.map(([name], at) => [String(at + 1), () => void (location.hash = last[name])])),
});
document.querySelector(".skip").addEventListener("click", (event) => {
  // The hash is the address of the view, so the link must not change it.
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", route);
addEventListener("amended", () => {
  last[read().parts[0]] = location.hash;
});
onLive({ state: showConnection, again: () => loadSession().catch(() => {}) });
onSession(showSession);
showConnection();

try {
  await loadSession();
} catch {
  // Said by the view and by the banner; what is offered is known when the connection is back.
  showSession();
}
startLive();
watchHealth((words) => {
  unwell = words;
  showBanner();
});
route();
