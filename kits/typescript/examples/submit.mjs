/**
 * Send a request and show its text while it comes: `node submit.mjs https://media.example.com/a.mp4 "What happens?"`.
 *
 * Settings come from the environment: REELWIRE_KAFKA__BOOTSTRAP_SERVERS (default localhost:9092), and REELWIRE_TOPICS__*
 * for topics whose names are not the defaults.
 */

import { resolve } from "node:path";
import { parseArgs } from "node:util";

import { Client, TOPICS } from "@reelwire/client";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "request-id": { type: "string" },
    key: { type: "string" },
    mode: { type: "string", default: "stream" },
    over: { type: "string", default: "kafkajs" },
  },
});
const [source, prompt] = positionals;
const brokers = (process.env.REELWIRE_KAFKA__BOOTSTRAP_SERVERS ?? "localhost:9092").split(",");
const topics = Object.fromEntries(
  Object.entries(TOPICS).map(([role, name]) => [role, process.env[`REELWIRE_TOPICS__${role.toUpperCase()}`] ?? name]),
);

async function connections() {
  if (values.over === "kafkajs") {
    const { kafkajsReader, kafkajsSender } = await import("@reelwire/client/kafkajs");
    const { default: library } = await import("kafkajs");
    const kafka = new library.Kafka({ brokers, logLevel: library.logLevel.ERROR });
    return [kafkajsReader(kafka, { topics }), kafkajsSender(kafka, { topic: topics.requests })];
  }
  const { confluentReader, confluentSender } = await import("@reelwire/client/confluent");
  const { default: library } = await import("@confluentinc/kafka-javascript");
  const kafka = new library.KafkaJS.Kafka({ kafkaJS: { brokers, logLevel: library.KafkaJS.logLevel.ERROR } });
  return [confluentReader(kafka, { topics }), confluentSender(kafka, { topic: topics.requests })];
}

const video = /^https?:/.test(source) ? { type: "url", url: source } : { type: "file", path: resolve(source) };
const request = { video, prompt, mode: values.mode };
if (values["request-id"]) request.request_id = values["request-id"];

const client = await Client.start(...(await connections()));
try {
  const stream = await client.submit(request, values.key ? { key: values.key } : {});
  for await (const part of stream) {
    process.stdout.write(part.kind === "restart" ? `\n-- begins again, attempt ${part.attempt}\n` : part.text);
  }
  const completion = await stream.end();
  process.stdout.write(`\n-- ${completion.type}\n`);
} finally {
  await client.close();
}
