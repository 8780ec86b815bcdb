/**
 * The network as BFD sessions use it, and the sockets of the kernel that are one (RFC 5881, RFC 5883).
 * @module
 */
import type { BfdTarget } from '../../core/bgp/peers/bfd-target.ts';
import type { IpAddress, IpFamily } from '../../core/net/address.ts';
import { batch } from './batch.ts';
import { EchoPaths } from './bfd-echo.ts';
import { addressOfSocket, admit, leastTtlOf, openBfdReceiver, openBfdSender } from './bfd-sockets.ts';
import { close, receiveFrom, type SystemCallError } from './syscalls.ts';

/** How control packets of one session go out. */
export interface BfdSender {
  send(bytes: Uint8Array): void;
  close(): void;
}

export interface BfdNetwork {
  /** From here on packets can come from such a router. Throws SystemCallError. */
  open(target: BfdTarget): BfdSender;
  /** The whole of the routers that packets may come from; `onTrouble` where that could not be set. */
  admit(targets: readonly BfdTarget[], onTrouble: (on: string, error: SystemCallError) => void): void;
  /** False: the router is not in the neighbor table. Throws SystemCallError. */
  sendEcho(router: IpAddress, discriminator: number, now: number): boolean;
}

/** Who hears what has come. */
export interface BfdListener {
  packetReceived(bytes: Uint8Array, source: IpAddress | undefined, multihop: boolean): void;
  echoReceived(discriminator: number): void;
}

/** A socket shared by sessions of the same family, kind and device. */
interface Receiver {
  readonly fd: number;
  readonly family: IpFamily;
  readonly multihop: boolean;
}

export class BfdSockets implements BfdNetwork {
  /** By receiverKey. */
  readonly #receivers = new Map<string, Receiver>();
  readonly #echoes = new EchoPaths();
  readonly #buffer = new Uint8Array(256);

  get fds(): readonly number[] {
    return [...[...this.#receivers.values()].map(({ fd }) => fd), ...this.#echoes.fds];
  }

  open(target: BfdTarget): BfdSender {
    const { address, multihop, device } = target;
    const key = receiverKey(target);
    const { family } = address;
    if (!this.#receivers.has(key))
      this.#receivers.set(key, { fd: openBfdReceiver(family, multihop, device), family, multihop });
    const { fd, send } = openBfdSender(target);
    return { send, close: () => close(fd) };
  }

  /** Each socket accepts packets only from the routers of its sessions. */
  admit(targets: readonly BfdTarget[], onTrouble: (on: string, error: SystemCallError) => void): void {
    for (const [key, { fd, family }] of this.#receivers) {
      const own = targets.filter((target) => receiverKey(target) === key);
      const senders = own.map(({ address, multihop, minimumTtl }) => ({
        address,
        leastTtl: leastTtlOf(multihop, minimumTtl),
      }));
      try {
        admit(fd, family, senders);
      } catch (error) {
        onTrouble(`${own.length} routers of ${family}`, error as SystemCallError);
      }
    }
  }

  sendEcho(router: IpAddress, discriminator: number, now: number): boolean {
    return this.#echoes.send(router, discriminator, now);
  }

  /** One batch of each socket at most. */
  drain(listener: BfdListener): void {
    for (const { fd, multihop } of this.#receivers.values())
      for (const { length, address } of batch(() => receiveFrom(fd, this.#buffer)))
        listener.packetReceived(this.#buffer.slice(0, length), addressOfSocket(address), multihop);
    for (const { discriminator } of this.#echoes.received()) listener.echoReceived(discriminator);
  }

  close(): void {
    this.#echoes.close();
    for (const { fd } of this.#receivers.values()) close(fd);
  }
}

function receiverKey({ address, multihop, device }: BfdTarget): string {
  return `${address.family} ${multihop} ${device}`;
}
