/**
 * A member that has the key and says whatever the wire lets through: in its own name and in that of others, with numbers as large as they can be,
 * and with those that are in use.
 * @module
 */
import { decodeMessage, encodeMessage } from '../src/core/liveness/codec.ts';
import { type Content, type Message, STATUSES, type Status, type Update } from '../src/core/liveness/messages.ts';
import type { Random } from './random.ts';

const INCARNATIONS = [1n, 2n ** 40n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];
const NUMBERS = [0, 1, 100, 2 ** 31, 2 ** 32 - 1];
const OWN_STATUSES: readonly Status[] = ['starting', 'active', 'unsteady', 'leaving'];
const KINDS = [
  'ping',
  'ack',
  'ping-req',
  'indirect-ack',
  'gossip',
  'pull',
  'push',
  'holder-req',
  'holder-ack',
] as const;

/** `overheard`: the last message of each node. Undefined: a receiver would refuse it. */
export function hostileMessage(
  random: Random,
  nodes: readonly string[],
  overheard: ReadonlyMap<string, Message>,
  receiver: string,
): Message | undefined {
  const number = () => (random.chance(0.3) ? random.between(0, 2 ** 32 - 1) : random.pick(NUMBERS)!);
  const update = (statuses: readonly Status[]): Update => {
    const node = random.pick(nodes)!;
    const known = overheard.get(node)?.from;
    const isKnown = known !== undefined && random.chance(0.5);
    return {
      node,
      incarnation: isKnown
        ? BigInt.asUintN(64, known.incarnation + BigInt(random.between(0, 2)))
        : random.pick(INCARNATIONS)!,
      version: isKnown && random.chance(0.5) ? known.version : number(),
      status: random.pick(statuses)!,
      links: random.chance(0.5) ? (known?.links ?? []) : [],
      unheard: random.chance(0.5),
      age: random.between(0, 2000),
    };
  };
  const from = update(OWN_STATUSES);
  const known = overheard.get(from.node);
  const all = Object.keys(STATUSES) as Status[];
  const said: Message = {
    ...content(random, nodes, number),
    from,
    // Most of them know it.
    to: random.chance(0.8) ? (overheard.get(receiver)?.from.incarnation ?? 0n) : random.pick(INCARNATIONS)!,
    sequence:
      known !== undefined && random.chance(0.5) ? (known.sequence + random.between(1, 1000)) % 2 ** 32 : number(),
    digest: number(),
    updates: Array.from({ length: random.between(0, 6) }, () => update(all)),
  };
  const decoded = decodeMessage(encodeMessage(said));
  return decoded.ok ? decoded.message : undefined;
}

function content(random: Random, nodes: readonly string[], number: () => number): Content {
  const about = random.pick(nodes)!;
  const kind = random.pick(KINDS)!;
  switch (kind) {
    case 'ping':
    case 'gossip':
      return { kind };
    case 'ack':
      return { kind, echo: number() };
    case 'ping-req':
      return { kind, about };
    case 'indirect-ack':
      return { kind, about, silentFor: random.between(0, 1000) };
    case 'pull':
      return { kind, after: about };
    case 'push':
      return { kind, last: about };
    case 'holder-req':
      return { kind, yielded: random.chance(0.5), addresses: someAddresses(random) };
    case 'holder-ack':
      return { kind, addresses: someAddresses(random) };
  }
}

/** Of the pool, among others. */
function someAddresses(random: Random): string[] {
  return Array.from({ length: random.between(0, 4) }, () => `198.51.100.${random.between(0, 15)}`);
}
