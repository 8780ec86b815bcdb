/**
 * Who answers for an address: exactly one node, soon after a death, and without a gap in a planned move.
 * @module
 */
import { disputeBound, failoverBound } from './bounds.ts';
import { LEAVE_TIME, type VirtualCluster } from './virtual-cluster.ts';

export class Ownership {
  readonly #cluster: VirtualCluster;
  readonly #loss: number;
  readonly #pass: (milliseconds: number) => void;
  /** Milliseconds of each failover that was tried. */
  readonly failovers: number[] = [];

  /** `pass` lets time pass. */
  constructor(cluster: VirtualCluster, loss: number, pass: (milliseconds: number) => void) {
    this.#cluster = cluster;
    this.#loss = loss;
    this.#pass = pass;
  }

  /** At rest each address has one owner, and nobody holds what no Service has. */
  checkRest(addresses: ReadonlySet<string>): void {
    const { speakers, nodes } = this.#cluster;
    if (nodes.length > 0) for (const address of addresses) this.#settle(address, 'at rest');
    for (const [name, { owned }] of speakers)
      for (const address of owned)
        if (!addresses.has(address)) this.#cluster.violated(`${name} announces ${address}, which no Service has`);
  }

  /** Kills the owner of an address on a healthy network and waits for the next one. */
  checkFailover(address: string | undefined): void {
    const owner = this.#movableOwner(address);
    if (address === undefined || owner === undefined) return;
    const { clock } = this.#cluster;
    this.#cluster.killSpeaker(owner);
    const died = clock.now();
    while (this.#cluster.ownersOf(address).length === 0 && clock.now() - died < 10_000) this.#pass(5);
    const took = clock.now() - died;
    this.failovers.push(took);
    if (took > failoverBound(this.#loss)) this.#cluster.violated(`failover of ${address} took ${took} ms`);
  }

  /** A speaker is asked to end, and comes back. */
  checkMove(address: string | undefined): void {
    const owner = this.#movableOwner(address);
    if (address === undefined || owner === undefined) return;
    this.#cluster.endSpeaker(owner);
    this.#watch(address, LEAVE_TIME, 'its owner was asked to end');
    if (this.#cluster.speakers.has(owner)) this.#cluster.violated(`${owner} was asked to end and is still there`);
    this.#settle(address, `after ${owner} was asked to end`);
    this.#cluster.startSpeaker(owner);
    this.#watch(address, 3000, 'its owner came back');
    this.#settle(address, `after ${owner} came back`);
  }

  /** A node is drained, and no longer. */
  checkDrain(address: string | undefined): void {
    const owner = this.#movableOwner(address);
    if (address === undefined || owner === undefined) return;
    this.#cluster.drain(owner, true);
    this.#watch(address, 3000, 'its owner was drained');
    this.#settle(address, `after ${owner} was drained`);
    this.#cluster.drain(owner, false);
    this.#watch(address, 3000, 'its owner was no longer drained');
    this.#settle(address, `after ${owner} was no longer drained`);
  }

  /** Its pool is split, or joined again, which is two writes. */
  checkSplit(address: string | undefined, split: () => void): void {
    if (address === undefined || this.#cluster.ownersOf(address).length === 0) return;
    split();
    this.#watch(address, 4000, 'its pool was split');
    this.#settle(address, 'after its pool was split');
  }

  /** Somebody claims it with the MAC of every node. */
  checkForgery(address: string | undefined): void {
    if (address === undefined || this.#movableOwner(address) === undefined) return;
    this.#cluster.forgeClaims(address, 3000);
    this.#watch(address, 5000, 'somebody began to claim it with the MACs of our nodes');
    this.#settle(address, 'after forged claims');
  }

  /** Undefined: there is no other node to move it to. */
  #movableOwner(address: string | undefined): string | undefined {
    if (address === undefined) return undefined;
    const [owner] = this.#cluster.ownersOf(address);
    return this.#cluster.rightOwnerOf(address, owner) === undefined ? undefined : owner;
  }

  /** Lets time pass in which somebody has to answer at every moment. */
  #watch(address: string, milliseconds: number, what: string): void {
    for (let i = 0; i < milliseconds; i++) {
      this.#pass(1);
      if (this.#cluster.ownersOf(address).length > 0) continue;
      this.#cluster.violated(`nobody answered for ${address} ${i} ms after ${what}`);
      return;
    }
  }

  /** There is one owner, and the right one, or none where no node can serve it; under loss within the bound for a dispute. */
  #settle(address: string, when: string): void {
    const began = this.#cluster.clock.now();
    for (;;) {
      const owners = this.#cluster.ownersOf(address);
      const right = this.#cluster.rightOwnerOf(address);
      if (owners.length <= 1 && owners[0] === right) return;
      if (this.#cluster.clock.now() - began >= disputeBound(this.#loss)) {
        this.#cluster.violated(`${when} ${address} is answered by [${owners.join(', ')}], not by ${right}`);
        return;
      }
      this.#pass(5);
    }
  }
}
