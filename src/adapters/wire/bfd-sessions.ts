/**
 * The BFD sessions of this node, in the wire Worker: one machine each (RFC 5881, RFC 5883).
 * @module
 */
import { decodeBfd, encodeBfd } from '../../core/bfd/codec.ts';
import {
  type BfdInput,
  type BfdOutput,
  type BfdSessionState,
  type BfdSettings,
  bfdMachine,
  initialBfd,
} from '../../core/bfd/fsm.ts';
import { type BfdCounter, DIAGNOSTICS } from '../../core/bfd/messages.ts';
import type { BfdTarget } from '../../core/bgp/peers/bfd-target.ts';
import { formatAddress, type IpAddress, isSameAddress } from '../../core/net/address.ts';
import { equal } from '../../core/net/equal.ts';
import type { Clock } from '../driver/clock.ts';
import { Driver } from '../driver/driver.ts';
import type { RecordedLine } from '../driver/recording.ts';
import type { BfdListener, BfdNetwork, BfdSender } from './bfd-network.ts';
import { Reports } from './reports.ts';
import type { SystemCallError } from './syscalls.ts';

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
  readonly sender: BfdSender;
  readonly driver: Driver<BfdSessionState, BfdInput, BfdOutput>;
}

export interface BfdCount {
  readonly peer: string;
  readonly counter: BfdCounter;
  readonly by: number;
}

export interface BfdPorts {
  readonly clock: Clock;
  readonly network: BfdNetwork;
  readonly report: (fact: BfdChange | { readonly kind: 'bfd-counts'; readonly counts: readonly BfdCount[] }) => void;
  readonly onTrouble: (on: string, error: SystemCallError) => void;
  /** Told of the beginning of each session, and of every input before it is stepped. */
  readonly record?: ((peer: string, line: RecordedLine) => void) | undefined;
  /** Told of what a session throws; it goes on. Default: it is thrown on. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

export class BfdSessions implements BfdListener {
  readonly #sessions = new Map<string, Session>();
  readonly #ports: BfdPorts;
  #discriminator = 0;
  readonly #counts = new Map<string, BfdCount>();
  readonly #reports: Reports;

  constructor(ports: BfdPorts) {
    this.#ports = ports;
    this.#reports = new Reports(ports.clock, () => this.#reportCounts());
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
      session.sender.close();
      this.#sessions.delete(peer);
    }
    for (const target of targets) {
      if (this.#sessions.has(target.peer)) continue;
      try {
        const session = this.#open(target, this.#ports.network.open(target));
        this.#sessions.set(target.peer, session);
        session.driver.feed({ kind: 'start' });
      } catch (error) {
        this.#ports.onTrouble(formatAddress(target.address), error as SystemCallError);
      }
    }
    const { network, onTrouble } = this.#ports;
    network.admit(
      [...this.#sessions.values()].map(({ target }) => target),
      onTrouble,
    );
  }

  packetReceived(bytes: Uint8Array, source: IpAddress | undefined, multihop: boolean): void {
    const decoded = decodeBfd(bytes);
    if (!decoded.ok) return;
    const { packet } = decoded;
    const session = this.#find(packet.yourDiscriminator, source, multihop);
    if (session === undefined) return;
    this.#count(session.target.peer, 'control_packet_input');
    session.driver.feed({ kind: 'received', packet });
  }

  echoReceived(discriminator: number): void {
    const session = [...this.#sessions.values()].find((each) => each.discriminator === discriminator);
    if (session === undefined) return;
    this.#count(session.target.peer, 'echo_packet_input');
    session.driver.feed({ kind: 'echoed' });
  }

  close(): void {
    this.set([]);
    this.#reports.stop();
  }

  /** RFC 5880 §6.8.6: by our discriminator; until the other side knows it, by the source of the packet. */
  #find(discriminator: number, source: IpAddress | undefined, multihop: boolean): Session | undefined {
    if (source === undefined) return undefined;
    return [...this.#sessions.values()].find(
      ({ target, discriminator: ours }) =>
        target.multihop === multihop &&
        isSameAddress(target.address, source) &&
        (discriminator === 0 || ours === discriminator),
    );
  }

  #count(peer: string, counter: BfdCounter): void {
    const key = `${counter} ${peer}`;
    this.#counts.set(key, { peer, counter, by: (this.#counts.get(key)?.by ?? 0) + 1 });
    this.#reports.begin();
  }

  #echo({ target, discriminator }: Session): void {
    try {
      const { network, clock } = this.#ports;
      if (network.sendEcho(target.address, discriminator, clock.now())) this.#count(target.peer, 'echo_packet_output');
    } catch (error) {
      this.#ports.onTrouble(formatAddress(target.address), error as SystemCallError);
    }
  }

  #open(target: BfdTarget, sender: Session['sender']): Session {
    const { clock, record } = this.#ports;
    const discriminator = ++this.#discriminator;
    const settings: BfdSettings = { ...target, discriminator };
    record?.(target.peer, { machine: 'bfd', settings });
    const driver = new Driver(bfdMachine, initialBfd(settings), {
      clock,
      perform: (output) => this.#perform(session, output),
      record: record && ((input, now) => record(target.peer, { now, input })),
      onFault: this.#ports.onFault,
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
