/**
 * A set of numbers kept as sorted, disjoint, non-touching runs. The lowest number outside the set is the end of the
 * first run plus one: no scan, however many are taken.
 * @module
 */

export class TakenRuns {
  readonly #firsts: bigint[] = [];
  readonly #lasts: bigint[] = [];
  #size = 0;

  /** How many numbers are in the set. */
  get size(): number {
    return this.#size;
  }

  has(value: bigint): boolean {
    const i = this.#runAtOrBefore(value);
    return i >= 0 && value <= this.#lasts[i]!;
  }

  /** Adds a number. Returns false when it was there already. */
  add(value: bigint): boolean {
    const i = this.#runAtOrBefore(value);
    if (i >= 0 && value <= this.#lasts[i]!) return false;
    const touchesLeft = i >= 0 && this.#lasts[i]! + 1n === value;
    const touchesRight = i + 1 < this.#firsts.length && this.#firsts[i + 1]! === value + 1n;
    if (touchesLeft && touchesRight) {
      this.#lasts[i] = this.#lasts[i + 1]!;
      this.#firsts.splice(i + 1, 1);
      this.#lasts.splice(i + 1, 1);
    } else if (touchesLeft) {
      this.#lasts[i] = value;
    } else if (touchesRight) {
      this.#firsts[i + 1] = value;
    } else {
      this.#firsts.splice(i + 1, 0, value);
      this.#lasts.splice(i + 1, 0, value);
    }
    this.#size++;
    return true;
  }

  /** Removes a number. Returns false when it was not there. */
  delete(value: bigint): boolean {
    const i = this.#runAtOrBefore(value);
    if (i < 0 || value > this.#lasts[i]!) return false;
    const first = this.#firsts[i]!;
    const last = this.#lasts[i]!;
    if (first === last) {
      this.#firsts.splice(i, 1);
      this.#lasts.splice(i, 1);
    } else if (value === first) {
      this.#firsts[i] = value + 1n;
    } else if (value === last) {
      this.#lasts[i] = value - 1n;
    } else {
      this.#lasts[i] = value - 1n;
      this.#firsts.splice(i + 1, 0, value + 1n);
      this.#lasts.splice(i + 1, 0, last);
    }
    this.#size--;
    return true;
  }

  /** The lowest number of `from` to `to` (inclusive) that is not in the set. */
  lowestFree(from: bigint, to: bigint): bigint | undefined {
    const i = this.#runAtOrBefore(from);
    const candidate = i >= 0 && from <= this.#lasts[i]! ? this.#lasts[i]! + 1n : from;
    return candidate <= to ? candidate : undefined;
  }

  #runAtOrBefore(value: bigint): number {
    let low = 0;
    let high = this.#firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#firsts[middle]! <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
