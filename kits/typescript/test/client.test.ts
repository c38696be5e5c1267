/** The client over the fake: submitting, following, every way to end, and the fake itself. */

import assert from "node:assert/strict";
import test from "node:test";

import {
  AlreadyEnded,
  Assembler,
  Client,
  ReadingStopped,
  RequestCanceled,
  RequestFailed,
  RequestRefused,
  StreamForgotten,
  murmur2,
  partitionOf,
} from "../src/index.js";
import type { Part, RequestStream, Submission } from "../src/index.js";
import { FakeReelwire, Play } from "../src/testing/index.js";

const REQUEST: Submission = {
  request_id: "cam7-1",
  video: { type: "url", url: "https://media.example.com/a.mp4" },
  prompt: "What happens?",
};

async function withClient(work: (client: Client, fake: FakeReelwire) => Promise<void>): Promise<void> {
  const fake = new FakeReelwire({ partitions: 3 });
  const client = await Client.start(fake.reader(), fake.sender());
  await work(client, fake).finally(() => client.close());
}

async function shown(stream: AsyncIterable<Part>): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

function ask(client: Client, name: string): Promise<RequestStream> {
  return client.submit({ ...REQUEST, request_id: name });
}

test("a request is sent by its key and its text comes", () =>
  withClient(async (client, fake) => {
    const stream = await client.submit(REQUEST, { key: "Kamera ä" });
    assert.deepEqual(await shown(stream), [{ kind: "text", text: "Analysis of cam7-1." }]);
    const key = new TextEncoder().encode("Kamera ä");
    assert.deepEqual(fake.sent[0]?.key, key);
    assert.deepEqual(fake.sent[0]?.body, REQUEST);
    assert.equal(stream.place?.partition, partitionOf(key, 3));
    assert.equal((await stream.result()).text, stream.text);
  }));

test("without an id one is made, and it is the key", () =>
  withClient(async (client, fake) => {
    const stream = await client.submit({ prompt: "What happens?" });
    await stream.result();
    assert.equal(new TextDecoder().decode(fake.sent[0]?.key), stream.requestId);
  }));

test("text is live, a restart is seen, and a slow reader gets the last one", () =>
  withClient(async (client, fake) => {
    fake.on("cam7-1", (play) => play.accepted().text("A car "));
    const stream = await ask(client, "cam7-1");
    const parts = stream[Symbol.asyncIterator]();
    assert.deepEqual((await parts.next()).value, { kind: "text", text: "A car " });
    fake.more("cam7-1", (play) => play.text("st"));
    assert.deepEqual((await parts.next()).value, { kind: "text", text: "st" });
    fake.more("cam7-1", (play) => play.cut().text("A van").cut().text("A ", "bus.").completed());
    assert.deepEqual(await shown({ [Symbol.asyncIterator]: () => parts }), [
      { kind: "restart", attempt: 3 },
      { kind: "text", text: "A bus." },
    ]);
    assert.deepEqual(await shown(stream), [{ kind: "text", text: "A bus." }]);
  }));

test("how a request ends is told", () =>
  withClient(async (client, fake) => {
    fake.on("fails", (play) => play.text("A ").failed("stream_failed", "The platform ended the stream."));
    fake.on("open", (play) => play.accepted());
    fake.on("bad", (play) => play.refused("invalid", "prompt is missing"));

    const failing = await ask(client, "fails");
    await assert.rejects(failing.result(), (error: unknown) => {
      assert.ok(error instanceof RequestFailed);
      assert.equal(error.message, "fails failed: stream_failed: The platform ended the stream.");
      assert.equal(error.name, "RequestFailed");
      return true;
    });
    assert.equal((await failing.end()).type, "failed");

    const open = await ask(client, "open");
    await client.cancel("open");
    await assert.rejects(open.result(), RequestCanceled);

    const refused = await ask(client, "bad");
    await assert.rejects(refused.end(), RequestRefused);
    await assert.rejects(shown(refused), /bad was refused: invalid: prompt is missing/);
  }));

test("a known id has its completion again, and a lower run ends with a higher one", () =>
  withClient(async (client) => {
    const first = await (await ask(client, "cam7-1")).result();
    const again = await ask(client, "cam7-1");
    assert.deepEqual(await again.result(), first);
    assert.deepEqual(await shown(again), [{ kind: "text", text: "Analysis of cam7-1." }]);
    const second = await (await client.submit({ ...REQUEST, run: 2 })).result();
    assert.equal(second.run, 2);
    assert.deepEqual(await (await client.submit({ ...REQUEST, run: 1 })).result(), second);
  }));

test("a request of somebody else is followed from its beginning", () =>
  withClient(async (client, fake) => {
    const play = new Play("cam9-1", { partition: 2 }).accepted().text("A ", "car ");
    fake.publish(play.records());
    const stream = client.follow("cam9-1");
    assert.deepEqual([stream.run, stream.partition, stream.text], [1, 2, "A car "]);
    fake.publish(play.text("stops.").completed().records().slice(3));
    assert.equal((await stream.result()).text, "A car stops.");
    assert.equal(stream.text, "A car stops.");
    assert.throws(() => client.follow("cam9-1"), AlreadyEnded);
  }));

test("all streams are seen, each once", () =>
  withClient(async (client, fake) => {
    const play = new Play("first").text("A ");
    fake.publish(play.records());
    const seen = client.streams();
    const waiting = seen.next();
    fake.publish(play.text("car.").records().slice(1));
    fake.publish(new Play("second").accepted().text("A van.").completed().repeated().records());
    fake.publish(new Play("nobody").progress("cancel_ignored", { reason: "unknown" }).records());
    fake.publish(new Play("third").failed().records());
    const found = [(await waiting).value, (await seen.next()).value, (await seen.next()).value];
    assert.deepEqual(
      found.map((stream) => (stream as RequestStream).requestId),
      ["first", "second", "third"],
    );
    assert.equal((found[0] as RequestStream).text, "A car.");
  }));

test("a stream that is forgotten is told, and its end comes anew", async () => {
  const fake = new FakeReelwire();
  const client = await Client.start(fake.reader(), null, new Assembler({ maxLive: 1 }));
  const followed = client.follow("first");
  const seen = client.streams();
  const waiting = seen.next();
  const play = new Play("first").text("A ");
  fake.publish(play.records());
  fake.publish(new Play("second").text("A ").records());
  await assert.rejects(shown((await waiting).value as RequestStream), StreamForgotten);
  const parts = followed[Symbol.asyncIterator]();
  assert.deepEqual((await parts.next()).value, { kind: "text", text: "A " });
  fake.publish(play.text("car.").completed().records().slice(1));
  assert.deepEqual(await shown({ [Symbol.asyncIterator]: () => parts }), [
    { kind: "restart", attempt: 1 },
    { kind: "text", text: "A car." },
  ]);
  await client.close();
});

test("who waits hears that reading has stopped", () =>
  withClient(async (client, fake) => {
    fake.on("cam7-1", (play) => play.accepted());
    const stream = await ask(client, "cam7-1");
    const waiting = client.streams().next();
    fake.stopReading(new Error("not allowed"));
    await assert.rejects(stream.end(), /not read any longer: not allowed/);
    await assert.rejects(waiting, ReadingStopped);
    await assert.rejects(ask(client, "cam7-1"), ReadingStopped);
  }));

test("who is not followed any longer is let go", () =>
  withClient(async (client, fake) => {
    fake.on("cam7-1", (play) => play.accepted());
    const stream = await ask(client, "cam7-1");
    const other = client.follow("cam7-1");
    client.unfollow(stream);
    fake.more("cam7-1", (play) => play.text("A car.").completed());
    await assert.rejects(stream.end(), StreamForgotten);
    assert.equal((await other.result()).text, "A car.");
  }));

test("wrong use says what to do", () =>
  withClient(async (client, fake) => {
    await assert.rejects(ask(client, "no spaces"), /request_id must be/);
    await assert.rejects(client.submit({ ...REQUEST, run: 0 }), /run must be/);
    assert.throws(() => new Assembler({ maxHeld: 0 }), /at least 1/);
    const reader = await Client.start(fake.reader());
    await assert.rejects(reader.cancel("cam7-1"), /no sender/);
    await reader.close();
    await assert.rejects(reader.cancel("cam7-1"), /closed/);
  }));

test("the partition of a key is that of Kafka's own clients", () => {
  const known: [string, number][] = [
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ];
  for (const [key, signed] of known) assert.equal(murmur2(new TextEncoder().encode(key)) | 0, signed);
});
