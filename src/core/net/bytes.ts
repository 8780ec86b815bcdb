/**
 * Bounds-checked reading and writing of network byte order, for every codec.
 * @module
 */

/** Reads from the front. Every method returns undefined past the end and then keeps doing so. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Number of bytes still to read. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number | undefined {
    return this.#number(1);
  }

  u16(): number | undefined {
    return this.#number(2);
  }

  u32(): number | undefined {
    return this.#number(4);
  }

  u64(): bigint | undefined {
    const high = this.u32();
    const low = this.u32();
    return high === undefined || low === undefined ? undefined : (BigInt(high) << 32n) | BigInt(low);
  }

  /** A copy of the next `count` bytes. */
  bytes(count: number): Uint8Array | undefined {
    if (this.remaining < count) return this.#exhaust();
    this.#offset += count;
    return this.#bytes.slice(this.#offset - count, this.#offset);
  }

  #number(count: number): number | undefined {
    if (this.remaining < count) return this.#exhaust();
    let value = 0;
    for (let i = 0; i < count; i++) value = value * 256 + this.#bytes[this.#offset++]!;
    return value;
  }

  #exhaust(): undefined {
    this.#offset = this.#bytes.length;
    return undefined;
  }
}

/** Appends in network byte order and grows as needed. Throws RangeError on a number that does not fit its field. */
export class ByteWriter {
  #bytes = new Uint8Array(64);
  #length = 0;

  u8(value: number): this {
    return this.#number(value, 1);
  }

  u16(value: number): this {
    return this.#number(value, 2);
  }

  u32(value: number): this {
    return this.#number(value, 4);
  }

  u64(value: bigint): this {
    return this.u32(Number(value >> 32n)).u32(Number(value & 0xffffffffn));
  }

  bytes(bytes: Uint8Array): this {
    this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** What was written, as a copy. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #number(value: number, count: number): this {
    if (!Number.isInteger(value) || value < 0 || value >= 256 ** count) {
      throw new RangeError(`${value} does not fit into ${count} bytes`);
    }
    this.#grow(count);
    for (let i = count - 1; i >= 0; i--) {
      this.#bytes[this.#length + i] = value % 256;
      value = Math.floor(value / 256);
    }
    this.#length += count;
    return this;
  }

  #grow(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const bigger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    bigger.set(this.#bytes);
    this.#bytes = bigger;
  }
}
