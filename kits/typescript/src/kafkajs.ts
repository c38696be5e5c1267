/** The client over kafkajs: `npm install kafkajs`. */

import type { ConsumerConfig, Kafka, PartitionAssigner, ProducerConfig } from "kafkajs";

import { batchOf, places, Sender } from "./adapter.js";
import { TOPICS } from "./events.js";
import type { RecordReader, RequestSender } from "./ports.js";
import { Moves, namesOf } from "./topics.js";
import type { ReaderOptions } from "./topics.js";

/** Reads what is committed only: an uncommitted completion is none. `consumer` holds further options of kafkajs. */
export function kafkajsReader(
  kafka: Kafka,
  options: ReaderOptions & { consumer?: Partial<ConsumerConfig> } = {},
): RecordReader {
  const topics = namesOf(options);
  const alone = options.groupId === undefined;
  const start = options.start ?? "now";
  const moves = new Moves();
  let consumer: ReturnType<Kafka["consumer"]> | null = null;
  return {
    async start(deliver, fail) {
      const admin = kafka.admin();
      await admin.connect();
      const from = await places(admin, topics, start).finally(() => admin.disconnect());
      const reading = kafka.consumer({
        groupId: options.groupId ?? `reelwire-client-${globalThis.crypto.randomUUID()}`,
        allowAutoTopicCreation: false,
        readUncommitted: false,
        maxWaitTimeInMs: 100,
        partitionAssigners: [await together()],
        ...options.consumer,
      });
      consumer = reading;
      reading.on(reading.events.GROUP_JOIN, ({ payload }) => {
        moves.assigned(Object.values(payload.memberAssignment).flat() as number[]);
      });
      reading.on(reading.events.CRASH, ({ payload }) => {
        if (!payload.restart) fail(payload.error);
      });
      await reading.connect();
      await reading.subscribe({ topics, fromBeginning: start === "earliest" });
      await reading.run({
        autoCommit: !alone,
        eachBatch: async ({ batch }) => deliver(batchOf(batch.topic, batch.partition, batch.messages, moves.take())),
      });
      // The places were asked for before anything that the caller sends from now on.
      if (alone) from.forEach((place) => reading.seek(place));
    },
    async stop() {
      await consumer?.disconnect();
    },
  };
}

/** Writes requests. `producer` holds further options of kafkajs. */
export function kafkajsSender(
  kafka: Kafka,
  options: { topic?: string; producer?: Partial<ProducerConfig> } = {},
): RequestSender {
  const producer = kafka.producer({
    allowAutoTopicCreation: false,
    // The client names the partition.
    createPartitioner: () => ({ message }) => message.partition ?? 0,
    ...options.producer,
  });
  return new Sender(producer, kafka.admin(), options.topic ?? TOPICS.requests);
}

/** Gives each member the same partition numbers of all topics, which kafkajs's own assignment does not. */
async function together(): Promise<PartitionAssigner> {
  const { AssignerProtocol } = (await import("kafkajs")).default; // it is CommonJS
  const name = "ReelwireTogether";
  return ({ cluster }) => ({
    name,
    version: 1,
    protocol({ topics }) {
      return {
        name,
        metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics, userData: Buffer.alloc(0) }),
      };
    },
    async assign({ members, topics }) {
      const names = members.map((member) => member.memberId).sort();
      return names.map((memberId, at) => {
        const assignment: Record<string, number[]> = {};
        for (const topic of topics) {
          const numbers = cluster.findTopicPartitionMetadata(topic).map((found) => found.partitionId);
          assignment[topic] = numbers.filter((number) => number % names.length === at);
        }
        return {
          memberId,
          memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 1, assignment, userData: Buffer.alloc(0) }),
        };
      });
    },
  });
}
