/**
 * The questions to other speakers of one moment, gathered: many addresses go to few nodes when a node is drained, and each datagram has
 * room for several.
 * @module
 */
import { MAX_ADDRESSES } from '../liveness/codec.ts';
import type { Layer2Output } from './state.ts';

/** So many speakers are asked in one moment: claims with their MACs can be forged. */
const MOST_SPEAKERS = 16;

type AskHolder = Extract<Layer2Output, { kind: 'ask-holder' }>;

export class Questions {
  readonly #speakers = new Set<string>();
  readonly #byKey = new Map<string, { mac: string; yielded: boolean; addresses: string[] }>();

  /** False: there is no room for another speaker. */
  add(mac: string, yielded: boolean, address: string): boolean {
    if (!this.#speakers.has(mac) && this.#speakers.size >= MOST_SPEAKERS) return false;
    this.#speakers.add(mac);
    const key = `${mac} ${yielded}`;
    const asked = this.#byKey.get(key) ?? { mac, yielded, addresses: [] };
    asked.addresses.push(address);
    this.#byKey.set(key, asked);
    return true;
  }

  outputs(): AskHolder[] {
    return [...this.#byKey.values()].flatMap(({ mac, yielded, addresses }) =>
      Array.from({ length: Math.ceil(addresses.length / MAX_ADDRESSES) }, (_, i): AskHolder => {
        const some = addresses.slice(i * MAX_ADDRESSES, (i + 1) * MAX_ADDRESSES);
        return { kind: 'ask-holder', mac, yielded, addresses: some };
      }),
    );
  }
}
