/** Asking again and again, while the tab is seen. */

/**
 * Call `ask(signal)` now and `everyMs` after each answer. `failed` is given the error, and null when it works again.
 * Returns `{now, close}`.
 */
export function poll(ask, everyMs, failed) {
  let timer = null;
  let running = null;
  let closed = false;

  async function run() {
    clearTimeout(timer);
    running?.abort();
    const own = new AbortController();
    running = own;
    try {
      await ask(own.signal);
      if (!closed && running === own) failed(null);
    } catch (error) {
      if (error.name === "AbortError" || closed) return;
      failed(error);
    }
    if (!closed && running === own) timer = setTimeout(() => (document.hidden ? null : run()), everyMs);
  }

  const seen = () => document.hidden || run();
  document.addEventListener("visibilitychange", seen);
  run();
  return {
    now: run,
    close() {
      closed = true;
      clearTimeout(timer);
      running?.abort();
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
