/**
 * Which partition a key belongs to: murmur2 over its bytes, as Kafka's own clients have it.
 *
 * A cancellation or a repeated id that another partitioner puts elsewhere does not find its job.
 */

const SEED = 0x9747b28c;
const FACTOR = 0x5bd1e995;

/** The 32 bits of MurmurHash2 with Kafka's seed, without a sign. */
export function murmur2(data: Uint8Array): number {
  const whole = data.length & ~3;
  let hash = SEED ^ data.length;
  for (let at = 0; at < whole; at += 4) {
    let part = byte(data, at) | (byte(data, at + 1) << 8) | (byte(data, at + 2) << 16) | (byte(data, at + 3) << 24);
    part = Math.imul(part, FACTOR);
    part = Math.imul(part ^ (part >>> 24), FACTOR);
    hash = Math.imul(hash, FACTOR) ^ part;
  }
  if (whole < data.length) {
    let tail = 0;
    for (let at = data.length - 1; at >= whole; at -= 1) tail = (tail << 8) | byte(data, at);
    hash = Math.imul(hash ^ tail, FACTOR);
  }
  hash = Math.imul(hash ^ (hash >>> 13), FACTOR);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** The partition of a key in a topic with this number of partitions. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

function byte(data: Uint8Array, at: number): number {
  return data[at] as number;
}
