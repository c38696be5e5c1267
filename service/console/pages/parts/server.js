/** Asking the server. Every failure is a `ServerError` whose message is a sentence for a person. */

import { sentence } from "./words.js";

export class ServerError extends Error {
  constructor(message, status) {
    super(sentence(message));
    this.status = status;
  }
}

let csrf = null;

/** The token that requests which change something carry; it comes with the session. */
export function useCsrf(token) {
  csrf = token;
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { ...options, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The console does not answer. Is `reelwire console` running, and can you reach it?", 0);
  }
  let body = null;
  try {
    body = await answer.json();
  } catch {
    if (answer.ok) throw new ServerError("The console gave an answer that is no JSON. A proxy may stand between.", 0);
  }
  if (!answer.ok) {
    throw new ServerError(body?.error || `The console answered with status ${answer.status}.`, answer.status);
  }
  return body;
}

/** `path` is relative to the page; members that are empty are left out of the query. */
export function get(path, members = {}, signal = undefined) {
  const given = Object.entries(members).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  return ask(query ? `${path}?${query}` : path, { signal });
}

/** A request that changes something. */
export function send(method, path, body = undefined) {
  const headers = { "Content-Type": "application/json", ...(csrf ? { "X-CSRF-Token": csrf } : {}) };
  return ask(path, { method, headers, body: JSON.stringify(body ?? {}) });
}
