/** Who looks at the page, and whether they may act. */

import { askForToken } from "./dialogs.js";
import { get, send, useCsrf } from "./server.js";
import { speak, toast } from "./speech.js";
import { sentence } from "./words.js";

export const session = { actions: false, actions_offered: false, csrf: null, currency: null, topics: {}, version: "" };
const watchers = new Set();

function set(answer) {
  Object.assign(session, answer);
  useCsrf(session.csrf);
  for (const watcher of watchers) watcher(session);
}

/** Call `watcher(session)` at every change. Returns a function that ends it. */
export function onSession(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export async function loadSession() {
  set(await get("api/session"));
}

/** True when this browser may act: it has signed in, or does so now. */
export async function signIn() {
  if (session.actions) return true;
  const done = await askForToken(async (token) => {
    await send("POST", "api/session", { token });
    await loadSession();
  });
  if (done) speak("Signed in.");
  return done;
}

export async function signOut() {
  await send("DELETE", "api/session");
  await loadSession();
}

/** Do what needs the token: sign in if that is needed, ask, show what the server says. True: it was done. */
export async function act(path) {
  if (!(await signIn())) return false;
  try {
    const answer = await send("POST", path);
    toast(sentence(answer.message));
    return true;
  } catch (error) {
    // The session has ended: of the server, or of the cookie.
    if (error.status === 401 || error.status === 403) await loadSession().catch(() => {});
    toast(error.message, true);
    return false;
  }
}
