/** The one stream of changed rows that all views share, and whether it is there. */

import { Feed } from "./feed.js";
import { get } from "./server.js";

const SILENCE_MS = 15_000;
const listeners = new Set();
let feed = null;
let heard = Date.now();

/** What the last event said; `state` is `"joining"`, `"live"`, `"lost"` or `"resting"`, `since` when it became so. */
export const live = { state: "joining", since: Date.now(), phases: {}, live: 0, ended: 0, leftOut: 0, fragments: 0 };

/**
 * `listener` has any of: `rows(rows, texts)`, where `texts` are lengths of texts by request; `state(live)`; and `again()`,
 * called when events were missed, such as while the stream was lost: what happened meanwhile must be read. Returns a
 * function that ends it.
 */
export function onLive(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(name, ...given) {
  for (const listener of [...listeners]) listener[name]?.(...given);
}

function become(state) {
  heard = Date.now();
  if (live.state === state) return;
  const back = state === "live" && live.state !== "joining";
  Object.assign(live, { state, since: Date.now() });
  tell("state", live);
  if (back) tell("again");
}

function open() {
  feed?.close();
  feed = new Feed(
    "api/live",
    {
      rows(event) {
        become("live");
        const { phases, live: running, ended, left_out: leftOut, fragments_per_second: fragments } = event;
        Object.assign(live, { phases, live: running, ended, leftOut: leftOut ?? 0, fragments: fragments ?? 0 });
        tell("rows", event.rows ?? [], event.texts ?? {});
      },
      gap: () => tell("again"),
    },
    become,
  );
}

/** Open the stream. A connection that died without a word is found by asking, when nothing was heard for 15 s. */
export function startLive() {
  open();
  setInterval(async () => {
    if (document.hidden || live.state !== "live" || Date.now() - heard < SILENCE_MS) return;
    try {
      await get("api/session", {}, AbortSignal.timeout(5_000));
      heard = Date.now();
    } catch {
      become("lost");
      open();
    }
  }, 5_000);
}

/** Try at once. */
export function retryLive() {
  open();
}
