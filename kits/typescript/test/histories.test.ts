/** The histories, in the TypeScript kit: in the order of the file, and in other mutual orders of the topics. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import { Assembler, nameOf, TOPICS } from "../src/index.js";
import type { Change, KafkaRecord, Role } from "../src/index.js";

const FOLDER = process.env["REELWIRE_HISTORIES"] ?? join(import.meta.dirname, "..", "..", "..", "histories");
const ORDERS = 40;

type Ends = Record<string, (string | null)[][]>;
interface Plain {
  topic: Role;
  partition: number;
  headers: Record<string, string | null>;
  value?: unknown;
  text?: string | null;
  base64?: string;
}
interface History {
  options: { max_live?: number; max_ended?: number; max_held?: number };
  records: Plain[];
  changes: unknown[];
  ends: Ends | null;
}

function recordOf(plain: Plain): KafkaRecord {
  let value: Uint8Array | null = null;
  if ("value" in plain) value = Buffer.from(JSON.stringify(plain.value));
  else if (plain.base64 !== undefined) value = Buffer.from(plain.base64, "base64");
  else if (typeof plain.text === "string") value = Buffer.from(plain.text);
  return { topic: TOPICS[plain.topic], partition: plain.partition, headers: plain.headers, value };
}

function assemblerOf({ options }: History): Assembler {
  const given = { maxLive: options.max_live, maxEnded: options.max_ended, maxHeld: options.max_held };
  return new Assembler(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
}

function lineOf(change: Change): unknown[] {
  switch (change.kind) {
    case "text":
      return ["text", nameOf(change.stream), change.attempt, change.text];
    case "restart":
      return ["restart", nameOf(change.stream), change.attempt];
    case "progress":
      return ["progress", nameOf(change.stream), change.event.type];
    case "end":
      return ["end", nameOf(change.stream), change.completion.type];
    case "repeated":
      return ["repeated", nameOf(change.stream), change.completion.type, change.same];
    case "refused": {
      const { place, code, message } = change.letter;
      return ["refused", place.topic, place.partition, place.offset, code, message];
    }
    case "forgotten":
      return ["forgotten", nameOf(change.stream)];
    case "ignored":
      return ["ignored", nameOf(change.stream), change.reason];
    case "skipped":
      return ["skipped", change.reason];
  }
}

/** A small generator of numbers, so that an order can be had again. */
function chance(seed: number): () => number {
  let state = seed + 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The records in another order, in which those of one topic and partition keep theirs. */
function interleaved(records: readonly KafkaRecord[], seed: number): KafkaRecord[] {
  const logs = new Map<string, KafkaRecord[]>();
  for (const record of records) {
    const name = `${record.topic}/${record.partition}`;
    logs.set(name, [...(logs.get(name) ?? []), record]);
  }
  const next = chance(seed);
  const mixed: KafkaRecord[] = [];
  for (let left = [...logs.values()]; left.length > 0; left = left.filter((log) => log.length > 0)) {
    mixed.push(left[Math.floor(next() * left.length)]?.shift() as KafkaRecord);
  }
  return mixed;
}

function endsOf(history: History, records: readonly KafkaRecord[]): Ends {
  const assembler = assemblerOf(history);
  const shown = new Map<string, string>();
  const ends: Ends = {};
  for (const change of records.flatMap((record) => assembler.take(record))) {
    if (change.kind === "text") {
      assert.notEqual(change.text, "");
      shown.set(nameOf(change.stream), (shown.get(nameOf(change.stream)) ?? "") + change.text);
    } else if (change.kind === "restart") {
      shown.delete(nameOf(change.stream));
    } else if (change.kind === "end") {
      const name = nameOf(change.stream);
      const text = change.completion.type === "completed" ? (shown.get(name) ?? "") : null;
      (ends[name] ??= []).push([change.completion.type, text]);
      shown.delete(name);
    }
  }
  return ends;
}

const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
assert.ok(files.length > 20, "the histories are there");

for (const file of files) {
  const history = JSON.parse(readFileSync(join(FOLDER, file), "utf-8")) as History;
  const records = history.records.map(recordOf);

  test(`${file} in its order has the changes that are expected`, () => {
    const assembler = assemblerOf(history);
    const changes = records.flatMap((record) => assembler.take(record));
    assert.deepEqual(changes.map(lineOf), history.changes);
    if (assembler.live === 0) assert.equal(assembler.held, 0);
  });

  test(`${file} in any mutual order of the topics ends with the text of the completion`, () => {
    if (history.ends === null) return assert.notDeepEqual(history.options, {});
    for (let seed = 0; seed < ORDERS; seed += 1) {
      assert.deepEqual(endsOf(history, interleaved(records, seed)), history.ends, `order ${seed}`);
    }
  });
}
