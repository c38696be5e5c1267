/** The partitions of the requests topic: who serves each, how far behind it is, what it holds. */

import { el, put, say } from "../parts/element.js";
import { empty, failure, loading, prose } from "../parts/notices.js";
import { sign } from "../parts/phases.js";
import { poll } from "../parts/polling.js";
import { get } from "../parts/server.js";
import { speak } from "../parts/speech.js";
import { count, instant, length, NONE, several } from "../parts/words.js";

const EVERY_MS = 3_000;

export function partitionsView(root) {
  let said = "";
  const summary = el("p", { class: "summary" });
  const place = el("div", null, loading());
  put(root, el("div", { class: "head" }, el("h1", null, "Partitions"), summary), place);

  function tile(word, value, kind) {
    return el("div", { class: `tile ${kind ?? ""}` }, el("p", { class: "tile-value" }, value), el("p", { class: "tile-word" }, word));
  }

  function paint({ group, partitions, members, problem }) {
    const unserved = partitions.filter((one) => one.state !== "served");
    const lag = partitions.reduce((all, one) => all + (one.lag ?? 0), 0);
    const held = partitions.reduce((all, one) => all + (one.held ?? 0), 0);
    say(summary, group ? `Group ${group}` : "");
    const words = unserved.length === 0 ? "All partitions are served." : `${several(unserved.length, "partition")} unserved.`;
    if (words !== said) speak((said = words));
    const doubt = problem && el("div", { class: "notice warns" }, el("p", { class: "notice-title" }, "This may be out of date"), el("p", null, problem));
    if (partitions.length === 0) {
      put(place, doubt, empty("The requests topic has no partitions that can be seen", "Make the topics with `reelwire topics create`, and let the console's user describe them."));
      return;
    }
    put(
      place,
      doubt,
      unserved.length > 0 &&
        el(
          "div",
          { class: "notice failed" },
          el("p", { class: "notice-title" }, `${several(unserved.length, "partition")} served by no process`),
          el("p", null, prose("Nothing in them goes on. Start a process with `reelwire run`, or look at its `/health/ready` if one is running.")),
        ),
      el(
        "div",
        { class: "tiles" },
        tile("served", `${partitions.length - unserved.length} of ${partitions.length}`, unserved.length ? "broken" : ""),
        tile("processes", count(members.length)),
        tile("requests held", count(held)),
        tile("records of lag", count(lag)),
      ),
      partitionTable(partitions),
      memberTable(members),
    );
  }

  function partitionTable(partitions) {
    const most = Math.max(1, ...partitions.map((one) => one.held ?? 0));
    return el(
      "section",
      { class: "card", "aria-label": "Partitions" },
      el(
        "table",
        { class: "plain-table" },
        el("thead", null, el("tr", null, [["Partition", ""], ["State", ""], ["Served by", ""], ["Held", "number"], ["Oldest", "number spare"], ["Lag", "number"]].map(([word, kind]) => el("th", { scope: "col", class: kind }, word)))),
        el(
          "tbody",
          null,
          partitions.map((one) => {
            const served = one.state === "served";
            const meter = el("span", { class: "meter", "aria-hidden": "true" }, el("i"));
            meter.firstChild.style.width = `${((one.held ?? 0) / most) * 100}%`;
            return el(
              "tr",
              null,
              el("th", { scope: "row" }, String(one.partition)),
              el("td", null, el("span", { class: `badge ${served ? "done" : "broken"}` }, sign(served ? "done" : "broken"), served ? "Served" : "Unserved")),
              el("td", { class: "cut" }, one.owner ?? NONE),
              el("td", { class: "number" }, meter, el("span", { class: "meter-count" }, count(one.held))),
              el("td", { class: "number spare", title: instant(one.oldest_ms) }, one.oldest_ms === null ? NONE : length(Date.now() - one.oldest_ms)),
              el("td", { class: "number" }, count(one.lag)),
            );
          }),
        ),
      ),
    );
  }

  function memberTable(members) {
    return el(
      "section",
      { class: "card", "aria-label": "Processes" },
      el("div", { class: "card-head" }, el("h2", null, "Processes of the group")),
      members.length === 0
        ? el("p", { class: "dim" }, prose("None has joined. Start one with `reelwire run`."))
        : el(
            "table",
            { class: "plain-table" },
            el("thead", null, el("tr", null, ["Client id", "Host", "Partitions"].map((word) => el("th", { scope: "col" }, word)))),
            el(
              "tbody",
              null,
              members.map((one) =>
                el("tr", null, el("th", { scope: "row", class: "cut" }, one.client_id), el("td", { class: "cut" }, one.host), el("td", null, one.partitions.join(", ") || "none: stands by")),
              ),
            ),
          ),
    );
  }

  let answered = false;
  const asking = poll(
    async (signal) => {
      const answer = await get("api/partitions", {}, signal);
      answered = true;
      paint(answer);
    },
    EVERY_MS,
    (error) => error && !answered && put(place, failure(error, () => asking.now())),
  );
  return { title: "Partitions", keys: {}, update() {}, close: () => asking.close() };
}
