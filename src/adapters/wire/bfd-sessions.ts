/**
 * The BFD sessions of this node, in the wire Worker: one machine each, and the sockets that they share (RFC 5881, RFC 5883).
 * @module
 */
import { decodeBfd, encodeBfd } from '../../core/bfd/codec.ts';
import { type BfdInput, type BfdOutput, type BfdSessionState, bfdMachine, initialBfd } from '../../core/bfd/fsm.ts';
import { type BfdCounter, DIAGNOSTICS } from '../../core/bfd/messages.ts';
import type { BfdTarget } from '../../core/bgp/peers/bfd-target.ts';
import type { Millis } from '../../core/machine.ts';
import { formatAddress, type IpAddress, type IpFamily } from '../../core/net/address.ts';
import { equal } from '../../core/net/equal.ts';
import type { Clock } from '../driver/clock.ts';
import { Driver } from '../driver/driver.ts';
import { batch } from './batch.ts';
import { EchoPaths } from './bfd-echo.ts';
import { addressOfSocket, admit, leastTtlOf, openBfdReceiver, openBfdSender } from './bfd-sockets.ts';
import { Reports } from './reports.ts';
import { close, receiveFrom, type SystemCallError } from './syscalls.ts';

export interface BfdChange {
  readonly kind: 'bfd-changed';
  readonly peer: string;
  readonly up: boolean;
  /** With `up` false: why, as text for users; and whether the router has only turned BFD off. */
  readonly why?: string;
  readonly administrative?: boolean;
}

interface Session {
  readonly target: BfdTarget;
  readonly discriminator: number;
  readonly sender: ReturnType<typeof openBfdSender>;
  readonly driver: Driver<BfdSessionState, BfdInput, BfdOutput>;
}

/** A socket shared by sessions of the same family, kind and device. */
interface Receiver {
  readonly fd: number;
  readonly family: IpFamily;
  readonly multihop: boolean;
}

export interface BfdCount {
  readonly peer: string;
  readonly counter: BfdCounter;
  readonly by: number;
}

export interface BfdPorts {
  readonly clock: Clock;
  readonly report: (fact: BfdChange | { readonly kind: 'bfd-counts'; readonly counts: readonly BfdCount[] }) => void;
  readonly onTrouble: (on: string, error: SystemCallError) => void;
  /** Told of every input of each session before it is stepped. */
  readonly record?: ((peer: string, input: unknown, now: Millis) => void) | undefined;
}

export class BfdSessions {
  readonly #sessions = new Map<string, Session>();
  /** By receiverKey. */
  readonly #receivers = new Map<string, Receiver>();
  readonly #ports: BfdPorts;
  readonly #buffer = new Uint8Array(256);
  #discriminator = 0;
  readonly #echoes = new EchoPaths();
  readonly #counts = new Map<string, BfdCount>();
  readonly #reports: Reports;

  constructor(ports: BfdPorts) {
    this.#ports = ports;
    this.#reports = new Reports(ports.clock, () => this.#reportCounts());
  }

  get fds(): readonly number[] {
    return [...[...this.#receivers.values()].map(({ fd }) => fd), ...this.#echoes.fds];
  }

  /** Replaces the set of monitored routers. */
  set(targets: readonly BfdTarget[]): void {
    const wanted = new Map(targets.map((target) => [target.peer, target]));
    for (const [peer, session] of this.#sessions) {
      const target = wanted.get(peer);
      if (target !== undefined && equal(target, session.target)) continue;
      // A session with other settings begins again, which is no failure of the path.
      if (target !== undefined && session.driver.state.state === 'up')
        this.#ports.report({
          kind: 'bfd-changed',
          peer,
          up: false,
          why: 'its settings were changed',
          administrative: true,
        });
      session.driver.feed({ kind: 'stop' });
      session.driver.stop();
      close(session.sender.fd);
      this.#sessions.delete(peer);
    }
    for (const target of targets) {
      if (this.#sessions.has(target.peer)) continue;
      try {
        this.#listen(target);
        const session = this.#open(target, openBfdSender(target));
        this.#sessions.set(target.peer, session);
        session.driver.feed({ kind: 'start' });
      } catch (error) {
        this.#ports.onTrouble(formatAddress(target.address), error as SystemCallError);
      }
    }
    this.#admit();
  }

  drain(): void {
    for (const { fd, multihop } of this.#receivers.values()) {
      for (const received of batch(() => receiveFrom(fd, this.#buffer))) {
        const decoded = decodeBfd(this.#buffer.slice(0, received.length));
        if (!decoded.ok) continue;
        const { packet } = decoded;
        const session = this.#find(packet.yourDiscriminator, addressOfSocket(received.address), multihop);
        if (session === undefined) continue;
        this.#count(session.target.peer, 'control_packet_input');
        session.driver.feed({ kind: 'received', packet });
      }
    }
  }

  /** Echo packets that have come back. */
  drainEchoes(): void {
    for (const { discriminator } of this.#echoes.received()) {
      const session = [...this.#sessions.values()].find((each) => each.discriminator === discriminator);
      if (session === undefined) continue;
      this.#count(session.target.peer, 'echo_packet_input');
      session.driver.feed({ kind: 'echoed' });
    }
  }

  close(): void {
    this.set([]);
    this.#reports.stop();
    this.#echoes.close();
    for (const { fd } of this.#receivers.values()) close(fd);
  }

  /** RFC 5880 §6.8.6: by our discriminator; until the other side knows it, by the source of the packet. */
  #find(discriminator: number, source: IpAddress | undefined, multihop: boolean): Session | undefined {
    if (source === undefined) return undefined;
    return [...this.#sessions.values()].find(
      ({ target, discriminator: ours }) =>
        target.multihop === multihop &&
        target.address.family === source.family &&
        target.address.value === source.value &&
        (discriminator === 0 || ours === discriminator),
    );
  }

  #listen(target: BfdTarget): void {
    const { address, multihop, device } = target;
    const key = receiverKey(target);
    if (this.#receivers.has(key)) return;
    const { family } = address;
    this.#receivers.set(key, { fd: openBfdReceiver(family, multihop, device), family, multihop });
  }

  /** Each socket accepts packets only from the routers of its sessions. */
  #admit(): void {
    const targets = [...this.#sessions.values()].map(({ target }) => target);
    for (const [key, { fd, family }] of this.#receivers) {
      const own = targets.filter((target) => receiverKey(target) === key);
      const senders = own.map(({ address, multihop, minimumTtl }) => ({
        address,
        leastTtl: leastTtlOf(multihop, minimumTtl),
      }));
      try {
        admit(fd, family, senders);
      } catch (error) {
        this.#ports.onTrouble(`${own.length} routers of ${family}`, error as SystemCallError);
      }
    }
  }

  #count(peer: string, counter: BfdCounter): void {
    const key = `${counter} ${peer}`;
    this.#counts.set(key, { peer, counter, by: (this.#counts.get(key)?.by ?? 0) + 1 });
    this.#reports.begin();
  }

  #echo({ target, discriminator }: Session): void {
    try {
      if (this.#echoes.send(target.address, discriminator, this.#ports.clock.now()))
        this.#count(target.peer, 'echo_packet_output');
    } catch (error) {
      this.#ports.onTrouble(formatAddress(target.address), error as SystemCallError);
    }
  }

  #open(target: BfdTarget, sender: Session['sender']): Session {
    const { clock, record } = this.#ports;
    const discriminator = ++this.#discriminator;
    const driver = new Driver(bfdMachine, initialBfd({ ...target, discriminator }), {
      clock,
      perform: (output) => this.#perform(session, output),
      record: record && ((input, now) => record(target.peer, input, now)),
    });
    const session: Session = { target, discriminator, sender, driver };
    return session;
  }

  #perform(session: Session, output: BfdOutput): void {
    const { report } = this.#ports;
    const { peer } = session.target;
    switch (output.kind) {
      case 'send':
        session.sender.send(encodeBfd(output.packet));
        this.#count(peer, 'control_packet_output');
        return;
      case 'send-echo':
        this.#echo(session);
        return;
      case 'bfd-up':
        this.#count(peer, 'session_up_events');
        report({ kind: 'bfd-changed', peer, up: true });
        return;
      case 'bfd-down': {
        this.#count(peer, 'session_down_events');
        const { administrative, diagnostic } = output;
        const why = administrative ? 'the router has turned it off' : (WORDS[diagnostic] ?? 'it went down');
        report({ kind: 'bfd-changed', peer, up: false, why, administrative });
      }
    }
  }

  #reportCounts(): boolean {
    const counts = [...this.#counts.values()];
    this.#counts.clear();
    if (counts.length > 0) this.#ports.report({ kind: 'bfd-counts', counts });
    return counts.length > 0;
  }
}

const WORDS: Readonly<Record<number, string>> = {
  [DIAGNOSTICS['detection-time-expired']]: 'no BFD packet of the router for the detection time',
  [DIAGNOSTICS['echo-failed']]: 'the router sends no BFD echo back',
  [DIAGNOSTICS['neighbor-signaled-down']]: 'the router’s BFD says that the session is down',
};

function receiverKey({ address, multihop, device }: BfdTarget): string {
  return `${address.family} ${multihop} ${device}`;
}
