/**
 * A datagram that is played back proves nothing (RFC 4303 §3.4.3): each sequence number counts once, and those that come out of order
 * count while they are among the last 32.
 * @module
 */
export class ReplayWindow {
  #highest = -1;
  /** Bit n: the number `highest - n` has come. */
  #seen = 0;

  /** True the first time that this number comes. */
  accept(sequence: number): boolean {
    const ahead = sequence - this.#highest;
    if (ahead > 0) {
      this.#seen = ahead >= 32 ? 1 : ((this.#seen << ahead) | 1) >>> 0;
      this.#highest = sequence;
      return true;
    }
    if (ahead <= -32) return false;
    const bit = (1 << -ahead) >>> 0;
    if ((this.#seen & bit) !== 0) return false;
    this.#seen = (this.#seen | bit) >>> 0;
    return true;
  }
}
