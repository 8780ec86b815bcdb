/**
 * Liveness and layer 2 of one speaker, wired together: the same in the wire Worker, on sockets, and in the simulation, on a virtual
 * network.
 * @module
 */
import { layer2Machine } from '../../core/layer2/fsm.ts';
import type { Interface } from '../../core/layer2/messages.ts';
import { holds } from '../../core/layer2/rivals.ts';
import {
  type Announce,
  initialLayer2,
  type Layer2Counter,
  type Layer2Input,
  type Layer2Output,
  type Layer2Settings,
  type Layer2State,
  type MulticastGroup,
} from '../../core/layer2/state.ts';
import { type LivenessInput, livenessMachine } from '../../core/liveness/fsm.ts';
import type { HolderContent, Member, Message } from '../../core/liveness/messages.ts';
import {
  initialLiveness,
  type LivenessOutput,
  type LivenessSettings,
  type LivenessState,
} from '../../core/liveness/state.ts';
import { livenessView, peerReports } from '../../core/liveness/view.ts';
import type { Millis } from '../../core/machine.ts';
import { formatAddress } from '../../core/net/address.ts';
import { formatMac } from '../../core/net/mac.ts';
import type { Cancel, Clock } from '../driver/clock.ts';
import { Driver } from '../driver/driver.ts';
import type { RecordedLine } from '../driver/recording.ts';
import { LinkFollower, type Links } from './links.ts';
import type { FromWire, ToWire } from './messages.ts';
import { Reports } from './reports.ts';

/** Milliseconds per node between two views of the cluster: with five thousand nodes, at most ten views a second. */
const VIEW_PAUSE = 0.02;
/** Milliseconds after a death during which a new announcement counts as a takeover from the dead node. */
const LEGACY = 5000;

export interface WireMachinesOptions {
  readonly layer2: Layer2Settings;
  /** Undefined: there is no speaker list. */
  readonly liveness: LivenessSettings | undefined;
}

/** The machines' access to the outside. */
export interface WirePorts {
  readonly clock: Clock;
  readonly readLinks: () => Links;
  /** Opens sockets on these links and closes all others; returns the links with what could be opened. */
  readonly openLinks: (links: readonly Interface[]) => readonly Interface[];
  readonly sendFrame: (frame: Extract<Layer2Output, { kind: 'send' }>) => void;
  /** All multicast groups to be a member of. */
  readonly joinGroups: (groups: readonly MulticastGroup[]) => void;
  readonly sendMessage: (message: Message, to: Member) => void;
  readonly report: (fact: FromWire) => void;
  /** Told of what a machine, or what performs its outputs, throws; it goes on. Default: it is thrown on. */
  readonly onFault?: ((where: 'layer2' | 'liveness', error: unknown) => void) | undefined;
  /** Told of the beginning of each machine, and of every input before it is stepped. */
  readonly record?: ((machine: 'layer2' | 'liveness', line: RecordedLine) => void) | undefined;
}

/** Messages for these machines; the Worker's other messages are for its sockets. */
export type ToWireMachines = Exclude<ToWire, { kind: 'bfd' | 'discover' | 'secrets' | 'stop' }>;

export class WireMachines {
  readonly #ports: WirePorts;
  readonly #layer2: Driver<Layer2State, Layer2Input, Layer2Output>;
  readonly #liveness: Driver<LivenessState, LivenessInput, LivenessOutput> | undefined;
  readonly #counts = new Map<string, { counter: Layer2Counter; address: string; by: number }>();
  readonly #reports: Reports;
  readonly #links: LinkFollower;
  /** The nodes of our other speakers, by MAC. */
  #siblings: ReadonlyMap<string, string> = new Map();
  /** And the other way round. */
  #macsOf: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  /** Takes back the next view, while one is due. */
  #cancelView: Cancel | undefined;
  /** When the next view may be reported; undefined: at once. */
  #viewAt: Millis | undefined;
  /** The last death of another speaker, until its addresses have been taken over. */
  #lastDeath: { readonly at: Millis; readonly detect: number | undefined } | undefined;

  constructor({ layer2, liveness }: WireMachinesOptions, ports: WirePorts) {
    this.#ports = ports;
    const { clock, record, onFault } = ports;
    this.#reports = new Reports(clock, () => this.#report());
    record?.('layer2', { machine: 'layer2', settings: layer2 });
    this.#layer2 = new Driver(layer2Machine, initialLayer2(layer2), {
      clock,
      perform: (output) => this.#performLayer2(output),
      record: record && ((input, now) => record('layer2', { now, input })),
      onFault: onFault && ((error) => onFault('layer2', error)),
    });
    if (liveness !== undefined) {
      // The key of the messages is no business of the machine's.
      const { self, incarnation, interval, misses, fenced } = liveness;
      const settings = { self, incarnation, interval, misses, fenced };
      record?.('liveness', { machine: 'liveness', settings });
      this.#liveness = new Driver(livenessMachine, initialLiveness(settings), {
        clock,
        perform: (output) => this.#performLiveness(output),
        record: record && ((input, now) => record('liveness', { now, input })),
        onFault: onFault && ((error) => onFault('liveness', error)),
      });
      this.#liveness.feed({ kind: 'start' });
      this.#reports.begin();
    }
    this.#links = new LinkFollower({ clock, read: ports.readLinks, onChange: (links) => this.#useLinks(links) });
  }

  /** The addresses that this node believes it owns. */
  get owned(): readonly string[] {
    return [...this.#layer2.state.owned.keys()];
  }

  /** This node announces the address, and has not yielded it to another speaker. */
  holds(address: string): boolean {
    return holds(this.#layer2.state, address);
  }

  take(message: ToWireMachines): void {
    switch (message.kind) {
      case 'leave':
        // First tell the others, who have to take over.
        this.#liveness?.feed(message);
        this.#layer2.feed(message);
        return;
      case 'announce':
        this.#announce(message);
        return;
      default:
        this.#liveness?.feed(message);
    }
  }

  /** Something about links or their addresses has changed. */
  linksChanged(): void {
    this.#links.look();
  }

  frameReceived(index: number, bytes: Uint8Array): void {
    this.#layer2.feed({ kind: 'frame-received', interface: index, bytes });
  }

  messageReceived(message: Message): void {
    this.#liveness?.feed({ kind: 'received', message });
  }

  stop(): void {
    this.#links.stop();
    this.#layer2.stop();
    this.#liveness?.stop();
    this.#cancelView?.();
    this.#reports.stop();
  }

  /** Used here before the main thread is told: it may stall, and what it then decides needs open links. */
  #useLinks(links: Links): void {
    const interfaces = this.#ports.openLinks(links.fit);
    this.#layer2.feed({ kind: 'interfaces', interfaces });
    this.#liveness?.feed({ kind: 'links', links: interfaces.map(({ name, mac }) => ({ name, mac })) });
    this.#ports.report({ kind: 'links', ...links });
  }

  #announce(message: Announce): void {
    const { clock, report } = this.#ports;
    const began = clock.now();
    const { owned } = this.#layer2.state;
    const isMore = message.announcements.some(({ address }) => !owned.has(formatAddress(address)));
    this.#layer2.feed(message);
    if (!isMore || this.#lastDeath === undefined || began - this.#lastDeath.at > LEGACY) return;
    const { at, detect = 0 } = this.#lastDeath;
    this.#lastDeath = undefined;
    report({ kind: 'failed-over', phases: { detect, elect: began - at, announce: clock.now() - began } });
  }

  #performLayer2(output: Layer2Output): void {
    const { sendFrame, joinGroups, report } = this.#ports;
    switch (output.kind) {
      case 'send':
        sendFrame(output);
        return;
      case 'groups':
        joinGroups(output.groups);
        return;
      case 'counted':
        this.#count(output);
        return;
      case 'ask-holder':
        this.#askHolder(output);
        return;
      default:
        report(output);
    }
  }

  #performLiveness(output: LivenessOutput): void {
    const { clock, sendMessage, report } = this.#ports;
    switch (output.kind) {
      case 'send-message':
        sendMessage(output.message, output.to);
        return;
      case 'view-changed':
        this.#cancelView ??= clock.at(Math.max(this.#viewAt ?? 0, clock.now()), () => this.#tellView());
        return;
      case 'about-addresses':
        this.#onAddresses(output.from, output.content);
        return;
      case 'node-changed':
        if (output.state === 'dead') this.#lastDeath = { at: clock.now(), detect: output.silentFor };
    }
    report(output);
  }

  /** Once for all changes of one moment, and less often with more nodes. */
  #tellView(): void {
    const { clock, report } = this.#ports;
    const { state } = this.#liveness!;
    this.#cancelView = undefined;
    const view = livenessView(state);
    report({ kind: 'liveness', view });
    this.#viewAt = clock.now() + view.nodes.length * VIEW_PAUSE;
    const others = view.nodes.filter(({ node }) => node !== state.settings.self);
    const macsOf = others.map(
      ({ node, links = [] }) => [node, new Set(links.map(({ mac }) => formatMac(mac)))] as const,
    );
    this.#macsOf = new Map(macsOf);
    this.#siblings = new Map(macsOf.flatMap(([node, macs]) => [...macs].map((mac) => [mac, node])));
    this.#layer2.feed({ kind: 'siblings', macs: new Set(this.#siblings.keys()) });
  }

  #askHolder({ mac, yielded, addresses }: Extract<Layer2Output, { kind: 'ask-holder' }>): void {
    // Without a speaker list there is nobody to ask: what the wire says is all there is.
    if (this.#liveness === undefined) this.#confirm('', new Set([mac]), addresses);
    const to = this.#siblings.get(mac);
    if (to === undefined) return;
    const content = { kind: 'holder-req', yielded, addresses } as const;
    this.#liveness?.feed({ kind: 'about-addresses', to, content });
  }

  #onAddresses(from: string, content: HolderContent): void {
    const { addresses } = content;
    const macs = this.#macsOf.get(from) ?? new Set();
    if (content.kind === 'holder-ack') {
      if (!this.#isStarting) this.#confirm(from, macs, addresses);
      return;
    }
    const held = addresses.filter((address) => this.holds(address));
    if (held.length === 0 || this.#isStarting) return;
    this.#liveness?.feed({ kind: 'about-addresses', to: from, content: { kind: 'holder-ack', addresses: held } });
    if (content.yielded) this.#layer2.feed({ kind: 'yielded', node: from, macs, addresses: held });
  }

  /** It has announced what is its own, which the others do not know yet: that is no dispute. */
  get #isStarting(): boolean {
    return this.#liveness?.state.own.status === 'starting';
  }

  #confirm(node: string, macs: ReadonlySet<string>, addresses: readonly string[]): void {
    const isFirst = node < (this.#liveness?.state.settings.self ?? '');
    this.#layer2.feed({ kind: 'confirmed', node, macs, addresses, isFirst });
  }

  #count({ counter, address, by }: Extract<Layer2Output, { kind: 'counted' }>): void {
    const key = `${counter} ${address}`;
    const entry = this.#counts.get(key) ?? { counter, address, by: 0 };
    entry.by += by;
    this.#counts.set(key, entry);
    this.#reports.begin();
  }

  #report(): boolean {
    const { clock, report } = this.#ports;
    if (this.#counts.size > 0) report({ kind: 'counts', counts: [...this.#counts.values()] });
    this.#counts.clear();
    if (this.#liveness === undefined) return false;
    report({ kind: 'peers', peers: peerReports(this.#liveness.state, clock.now()) });
    return true;
  }
}
