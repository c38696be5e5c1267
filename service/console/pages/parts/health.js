/**
 * Whether the server sees the topics. While it does not, an empty list means nothing, and the page must say so.
 */

const EVERY_MS = 10_000;
const SOON_MS = 2_000;

/** Call `changed(words)` when it changes: what is wrong or worth to know, in the server's words; empty when all is well. */
export function watchHealth(changed) {
  let last = "";

  async function look() {
    let words = last;
    if (!document.hidden) {
      try {
        const answer = await fetch("health/ready", { cache: "no-store" });
        words = inWords(await answer.json());
      } catch {
        // The connection is lost: that is said elsewhere.
      }
    }
    if (words !== last) changed((last = words));
    setTimeout(look, words ? SOON_MS : EVERY_MS);
  }

  look();
}

function inWords({ conditions = {} }) {
  const wrong = Object.values(conditions).filter((one) => !one.ok && one.detail);
  return wrong.map((one) => one.detail.charAt(0).toUpperCase() + one.detail.slice(1)).join(". ");
}
