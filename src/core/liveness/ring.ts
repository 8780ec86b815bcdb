/**
 * Who watches whom: speakers stand on a ring in the order of the hashes of their names, and each is watched by those that follow it.
 * What a speaker does therefore stays the same however many there are.
 * @module
 */
import { hash } from './records.ts';

/** How many watch each speaker. */
export const MONITORS = 3;

export class Ring {
  readonly #names: readonly string[];
  readonly #places: ReadonlyMap<string, number>;

  constructor(names: Iterable<string>) {
    const hashed = [...names].map((name) => ({ name, at: hash(name) }));
    hashed.sort((a, b) => a.at - b.at || (a.name < b.name ? -1 : 1));
    this.#names = hashed.map(({ name }) => name);
    this.#places = new Map(this.#names.map((name, i) => [name, i]));
  }

  /** Somebody; `index` below `size`. */
  at(index: number): string {
    return this.#names[index]!;
  }

  get size(): number {
    return this.#names.length;
  }

  /** Everybody, in the order of the ring, from the one after `name` on (from the start when it is unknown) up to the last. */
  *after(name: string): Generator<string> {
    for (let i = (this.#places.get(name) ?? -1) + 1; i < this.#names.length; i++) yield this.#names[i]!;
  }

  /** The next who count, forwards (those who watch `of`) or backwards (those whom `of` watches), nearest first. */
  neighbours(of: string, direction: 1 | -1, counts: (name: string) => boolean): string[] {
    const start = this.#places.get(of);
    if (start === undefined) return [];
    const size = this.#names.length;
    const found: string[] = [];
    for (let step = 1; step < size && found.length < MONITORS; step++) {
      const name = this.#names[(start + direction * step + size * step) % size]!;
      if (counts(name)) found.push(name);
    }
    return found;
  }
}
