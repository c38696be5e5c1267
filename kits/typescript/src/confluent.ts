/** The client over Confluent's client: `npm install @confluentinc/kafka-javascript`. */

import type { KafkaJS } from "@confluentinc/kafka-javascript";

import { batchOf, places, Sender } from "./adapter.js";
import { TOPICS } from "./events.js";
import type { RecordReader, RequestSender } from "./ports.js";
import { Moves, namesOf } from "./topics.js";
import type { ReaderOptions } from "./topics.js";

type Kafka = InstanceType<typeof KafkaJS.Kafka>;

/** Reads what is committed only: an uncommitted completion is none. `consumer` holds further options of librdkafka. */
export function confluentReader(
  kafka: Kafka,
  options: ReaderOptions & { consumer?: Record<string, unknown> } = {},
): RecordReader {
  const topics = namesOf(options);
  const alone = options.groupId === undefined;
  const start = options.start ?? "now";
  const moves = new Moves();
  let consumer: ReturnType<Kafka["consumer"]> | null = null;
  return {
    async start(deliver) {
      const admin = kafka.admin();
      await admin.connect();
      const from = await places(admin, topics, start).finally(() => admin.disconnect());
      const reading = kafka.consumer({
        "group.id": options.groupId ?? `reelwire-client-${globalThis.crypto.randomUUID()}`,
        "isolation.level": "read_committed",
        "auto.offset.reset": start === "earliest" ? "earliest" : "latest",
        "enable.auto.commit": !alone,
        "partition.assignment.strategy": "range",
        "allow.auto.create.topics": false,
        "fetch.wait.max.ms": 100,
        ...options.consumer,
      });
      consumer = reading;
      await reading.connect();
      await reading.subscribe({ topics });
      await reading.run({
        eachBatch: async ({ batch }) => {
          if (!alone) moves.assigned(reading.assignment().map((place) => place.partition));
          deliver(batchOf(batch.topic, batch.partition, batch.messages, moves.take()));
        },
      });
      // The places were asked for before anything that the caller sends from now on.
      if (alone) from.forEach((place) => reading.seek(place));
    },
    async stop() {
      await consumer?.disconnect();
    },
  };
}

/** Writes requests, with an idempotent producer. `producer` holds further options of librdkafka. */
export function confluentSender(
  kafka: Kafka,
  options: { topic?: string; producer?: Record<string, unknown> } = {},
): RequestSender {
  const producer = kafka.producer({
    partitioner: "murmur2_random",
    "enable.idempotence": true,
    "allow.auto.create.topics": false,
    ...options.producer,
  });
  return new Sender(producer, kafka.admin(), options.topic ?? TOPICS.requests);
}
