/**
 * A writer against an API server on a virtual clock: requests that are slow, refused, or carried out without an answer; a server that is
 * away, a kind that comes and goes, watches that lag and break, restarts of the process, and other people's hands in everything. At rest
 * what is there is what is wanted, nothing of others' was touched, and there never were more requests under way than allowed.
 * @module
 */
import { Driver } from '../src/adapters/driver/driver.ts';
import type { KubernetesObject, ObjectMeta } from '../src/core/api/kubernetes.ts';
import { writerMachine } from '../src/core/kubernetes/writer/fsm.ts';
import type {
  Desired,
  Labels,
  WriteAnswer,
  WriteCall,
  WriterInput,
  WriterOutput,
} from '../src/core/kubernetes/writer/messages.ts';
import { initialWriter, type WriterSettings, type WriterState } from '../src/core/kubernetes/writer/state.ts';
import { VirtualClock } from './clock.ts';
import { Random } from './random.ts';

export interface WriterReport {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly happenings: readonly string[];
  /** Requests that changed something. */
  readonly writes: number;
}

/** Virtual milliseconds of faults; of the peace after them, which outlasts the longest pauses; and of its end, in which nothing is written. */
const TROUBLE = 600_000;
const PEACE = 1_500_000;
const QUIET = 300_000;

const RESOURCES = ['alphas', 'betas'];
const NAMES = Array.from({ length: 8 }, (_, i) => `ours-${i}`);
const OWNER = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod', uid: 'pod-uid' } };
const MARK = { node: 'me' };

interface Stored extends KubernetesObject {
  readonly metadata: ObjectMeta & { readonly ownerReferences?: readonly unknown[] };
  readonly spec?: Fields;
  readonly status?: Fields;
}
type Fields = Readonly<Record<string, unknown>>;

/** Other managers' fields begin with this; ours never do. */
const THEIRS = 'theirs';

/** Never throws: problems are in the report. */
export function simulateWriter(seed: number): WriterReport {
  return new WriterSimulation(seed).run();
}

class WriterSimulation {
  readonly #seed: number;
  readonly #random: Random;
  readonly #clock = new VirtualClock();
  readonly #violations: string[] = [];
  readonly #happenings: string[] = [];
  readonly #server = new Server();
  readonly #settings: WriterSettings;
  /** What the process wants, by resource and name. It survives restarts, as what it is made of does. */
  readonly #wanted = new Map<string, Desired>();
  #life: Life | undefined;
  #isAway = false;
  /** Share of requests that fail in some way, and how slow they are at most in milliseconds. */
  #unrest = 0.2;
  #slowness = 500;
  #lastWriteAt = 0;
  #writes = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#settings = {
      resources: RESOURCES.map((resource) => ({ resource, isWatchedByUs: true, whenMissing: `no ${resource}` })),
      namespace: 'space',
      mode: this.#random.chance(0.7) ? 'apply' : 'replace',
      mark: MARK,
      adopts: true,
      isOwned: this.#random.chance(0.5),
      limit: this.#random.pick([1, 3, 32])!,
      gather: this.#random.pick([0, 3000])!,
      seed: seed + 1,
    };
  }

  run(): WriterReport {
    this.#begin();
    for (let at = 0; at < TROUBLE; at += this.#random.between(50, 8000)) this.#clock.after(at, () => this.#happen());
    this.#clock.runUntil(TROUBLE, () => {});
    this.#calm();
    this.#clock.runUntil(TROUBLE + PEACE, () => {});
    this.#judge();
    return { seed: this.#seed, violations: this.#violations, happenings: this.#happenings, writes: this.#writes };
  }

  #note(text: string): void {
    this.#happenings.push(`${this.#clock.now()} ${text}`);
  }

  /** Starts a process; requests of an earlier one may still arrive. */
  #begin(): void {
    this.#life?.end();
    const settings = { ...this.#settings, seed: this.#random.between(1, 1_000_000) };
    const life = new Life(settings, this.#clock, (output) => this.#perform(life, output));
    this.#life = life;
    life.feed({ kind: 'start' });
    for (const desired of this.#wanted.values()) this.#tell(desired.resource, desired.object.metadata.name, desired);
    life.feed({ kind: 'sweep' });
  }

  #tell(resource: string, name: string, desired: Desired | undefined): void {
    this.#life!.feed({ kind: 'set', resource, name, desired });
  }

  #perform(life: Life, output: WriterOutput): void {
    if (output.kind === 'send') this.#send(life, output.id, output.call);
    else if (output.kind === 'watch') this.#watch(life, output.resource);
    else if (output.kind === 'unwatch') life.watches.get(output.resource)?.close();
    else if (output.kind === 'trouble') this.#note(`trouble: ${output.resource} ${output.name}: ${output.message}`);
  }

  #send(life: Life, id: number, call: WriteCall): void {
    life.underWay.set(id, call);
    if (life.underWay.size > this.#settings.limit)
      this.#violations.push(`${life.underWay.size} requests under way at ${this.#clock.now()}`);
    const target = targetOf(call);
    const same = [...life.underWay].filter(([, other]) => target !== undefined && targetOf(other) === target);
    if (same.length > 1) this.#violations.push(`two requests under way for ${target} at ${this.#clock.now()}`);
    const random = this.#random;
    const there = random.between(1, this.#slowness);
    const back = random.between(1, this.#slowness);
    const fate = random.next();
    this.#clock.after(there, () => {
      const answer = this.#answer(call, fate);
      this.#clock.after(back, () => {
        life.underWay.delete(id);
        life.feed({ kind: 'answered', id, answer });
      });
    });
  }

  #answer(call: WriteCall, fate: number): WriteAnswer {
    const failed = (status: number): WriteAnswer => ({ ok: false, status, message: `${call.verb}: ${status}` });
    if (this.#isAway) return failed(0);
    const [lost, fault, conflict, refusal] = [0.2, 0.4, 0.6, 0.8].map((share) => share * this.#unrest);
    if (fate >= lost! && fate < fault!) return failed(500);
    if (fate >= fault! && fate < conflict!) return failed(409);
    if (fate >= conflict! && fate < refusal!) return failed(403);
    if (fate >= refusal! && fate < this.#unrest) return failed(429);
    const answer = this.#carryOut(call);
    return fate < lost! ? failed(0) : answer;
  }

  #carryOut(call: WriteCall): WriteAnswer {
    if (call.verb === 'read-owner') return { ok: true, objects: [OWNER] };
    const before = this.#server.version;
    const answer = this.#server.take(call, (text) => this.#violations.push(`${text} at ${this.#clock.now()}`));
    if (this.#server.version !== before) {
      this.#writes++;
      this.#lastWriteAt = this.#clock.now();
    }
    return answer;
  }

  #watch(life: Life, resource: string): void {
    life.watches.get(resource)?.close();
    let isOpen = true;
    let last = this.#clock.now();
    const later = (run: () => void) => {
      last = Math.max(last, this.#clock.now() + this.#random.between(1, this.#slowness));
      this.#clock.after(last - this.#clock.now(), () => {
        if (isOpen) run();
      });
    };
    const list = () => {
      if (this.#isAway || !this.#server.has(resource)) {
        this.#clock.after(2000, () => isOpen && list());
        return;
      }
      const objects = this.#server.all(resource);
      const version = String(this.#server.version);
      later(() => life.feed({ kind: 'replaced', resource, objects, version }));
      cancel = this.#server.follow(resource, {
        onEvent: (kind, object) => later(() => life.feed({ kind, resource, object })),
        onEnd: () => later(list),
      });
    };
    let cancel = () => {};
    later(list);
    life.watches.set(resource, {
      close: () => {
        isOpen = false;
        cancel();
      },
    });
  }

  /** Something changes, or goes wrong. */
  #happen(): void {
    const random = this.#random;
    const resource = random.pick(RESOURCES)!;
    const happenings: readonly (() => void)[] = [
      () => this.#want(resource),
      () => this.#want(resource),
      () => this.#want(resource),
      () => this.#meddle(resource),
      () => this.#meddle(resource),
      () => {
        this.#isAway = !this.#isAway;
        this.#note(`the server is ${this.#isAway ? 'away' : 'there'}`);
        if (this.#isAway) this.#server.endWatches();
      },
      () => {
        this.#slowness = random.pick([5, 500, 5000, 20_000])!;
        this.#note(`requests take up to ${2 * this.#slowness} ms`);
      },
      () => {
        this.#unrest = random.pick([0, 0.2, 0.6])!;
      },
      () => this.#server.endWatches(),
      () => {
        if (!random.chance(0.3)) return;
        this.#note('the process restarts');
        this.#begin();
      },
      () => {
        if (!random.chance(0.3)) return;
        this.#note(`${resource} ${this.#server.has(resource) ? 'go' : 'come'}`);
        this.#server.toggle(resource);
      },
    ];
    random.pick(happenings)!();
  }

  #want(resource: string): void {
    const name = this.#random.pick(NAMES)!;
    const key = `${resource}/${name}`;
    if (this.#random.chance(0.3)) {
      this.#wanted.delete(key);
      this.#tell(resource, name, undefined);
      return;
    }
    const desired: Desired = {
      resource,
      object: {
        apiVersion: 'sim/v1',
        kind: 'Thing',
        metadata: { name, labels: { ...MARK, about: name } },
        spec: this.#fields(),
        ...(this.#settings.mode === 'apply' && { status: this.#fields() }),
      },
      ...(this.#settings.mode === 'apply' && this.#random.chance(0.5) && { supersedes: { about: name } }),
    };
    this.#wanted.set(key, desired);
    this.#tell(resource, name, desired);
  }

  #fields(): Fields {
    const fields: Record<string, unknown> = { a: this.#random.between(1, 3) };
    if (this.#random.chance(0.5)) fields.b = [this.#random.between(1, 3)];
    // The server drops what it does not know.
    if (this.#random.chance(0.2)) fields.unknown = 1;
    return fields;
  }

  /** Somebody does something by hand. */
  #meddle(resource: string): void {
    const random = this.#random;
    const server = this.#server;
    if (this.#isAway || !server.has(resource)) return;
    const name = random.pick(NAMES)!;
    const hands: readonly (() => void)[] = [
      () => server.edit(resource, name, ({ spec = {}, ...rest }) => ({ ...rest, spec: { ...spec, a: 99 } })),
      () => server.edit(resource, name, ({ status = {}, ...rest }) => ({ ...rest, status: { ...status, b: 99 } })),
      () => server.edit(resource, name, ({ spec = {}, ...rest }) => ({ ...rest, spec: { ...spec, [THEIRS]: 1 } })),
      () =>
        server.edit(resource, name, ({ metadata, ...rest }) => {
          const { about: _, ...labels } = metadata.labels ?? {};
          return { ...rest, metadata: { ...metadata, labels: { ...labels, [THEIRS]: 'x' } } };
        }),
      () => server.remove(resource, name),
      () => server.remove(resource, name),
      // Ours, by its mark, and nobody wants it.
      () => server.put(resource, { metadata: { name: 'stray', labels: MARK }, spec: { a: 1 } }),
      // Others' objects: one that ours supersedes, and one that is none of our business.
      () => server.put(resource, { metadata: { name: `old-${name}`, labels: { node: 'you', about: name } } }),
      () => server.put(resource, { metadata: { name: `${THEIRS}-${name}`, labels: { node: 'you' } }, spec: { a: 5 } }),
    ];
    random.pick(hands)!();
  }

  #calm(): void {
    this.#note('peace');
    this.#isAway = false;
    this.#unrest = 0;
    this.#slowness = 50;
    for (const resource of RESOURCES) if (!this.#server.has(resource)) this.#server.toggle(resource);
  }

  #judge(): void {
    for (const resource of RESOURCES) {
      for (const object of this.#server.all(resource)) {
        const key = `${resource}/${object.metadata.name}`;
        if (object.metadata.labels?.node === MARK.node && !this.#wanted.has(key))
          this.#violations.push(`${key} is there, and nobody wants it`);
      }
      for (const [key, { object }] of this.#wanted) {
        if (!key.startsWith(resource)) continue;
        const there = this.#server.get(resource, object.metadata.name);
        if (there === undefined) this.#violations.push(`${key} is not there`);
        else this.#compare(key, there, object as Stored);
      }
    }
    const quiet = TROUBLE + PEACE - QUIET;
    if (this.#lastWriteAt > quiet) this.#violations.push(`it still writes at ${this.#lastWriteAt}`);
    if (this.#life!.underWay.size > 0) this.#violations.push('requests are still under way');
  }

  #compare(key: string, there: Stored, wanted: Stored): void {
    const isOwned = (there.metadata.ownerReferences ?? []).length > 0;
    if (isOwned !== this.#settings.isOwned) this.#violations.push(`${key} has the wrong owner`);
    for (const [label, value] of Object.entries(wanted.metadata.labels ?? {}))
      if (this.#settings.mode === 'apply' && there.metadata.labels?.[label] !== value)
        this.#violations.push(`${key} has lost the label ${label}`);
    for (const part of ['spec', 'status'] as const) {
      const ours = (fields: Fields = {}) =>
        JSON.stringify(
          Object.entries(fields)
            .filter(([field]) => field !== THEIRS && field !== 'unknown' && field !== 'defaulted')
            .sort(),
        );
      if (wanted[part] !== undefined && ours(there[part]) !== ours(wanted[part]))
        this.#violations.push(`${key} has the ${part} ${ours(there[part])} for ${ours(wanted[part])}`);
    }
  }
}

/** A process from its start to its end. */
class Life {
  readonly underWay = new Map<number, WriteCall>();
  readonly watches = new Map<string, { close(): void }>();
  readonly #driver: Driver<WriterState, WriterInput, WriterOutput>;

  constructor(settings: WriterSettings, clock: VirtualClock, perform: (output: WriterOutput) => void) {
    this.#driver = new Driver(writerMachine, initialWriter(settings), { clock, perform });
  }

  feed(input: WriterInput): void {
    this.#driver.feed(input);
  }

  end(): void {
    this.#driver.stop();
    for (const watch of this.watches.values()) watch.close();
  }
}

interface Follower {
  readonly resource: string;
  readonly onEvent: (kind: 'applied' | 'deleted', object: Stored) => void;
  readonly onEnd: () => void;
}

/** Kinds that come and go, versions, server-side apply with two managers (us and others), and watches. */
class Server {
  version = 1;
  readonly #kinds = new Map<string, Map<string, Stored>>(RESOURCES.map((resource) => [resource, new Map()]));
  readonly #followers = new Set<Follower>();
  #uid = 0;

  has(resource: string): boolean {
    return this.#kinds.has(resource);
  }

  get(resource: string, name: string): Stored | undefined {
    return this.#kinds.get(resource)?.get(name);
  }

  all(resource: string): Stored[] {
    return [...(this.#kinds.get(resource)?.values() ?? [])];
  }

  /** The kind goes with all of its objects, or comes. */
  toggle(resource: string): void {
    if (!this.has(resource)) {
      this.#kinds.set(resource, new Map());
      return;
    }
    for (const { metadata } of this.all(resource)) this.remove(resource, metadata.name);
    this.#kinds.delete(resource);
    this.endWatches();
  }

  follow(resource: string, handlers: Omit<Follower, 'resource'>): () => void {
    const follower = { resource, ...handlers };
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }

  endWatches(): void {
    for (const follower of [...this.#followers]) {
      this.#followers.delete(follower);
      follower.onEnd();
    }
  }

  edit(resource: string, name: string, change: (object: Stored) => Stored): void {
    const object = this.get(resource, name);
    if (object !== undefined) this.put(resource, change(object));
  }

  put(resource: string, object: Stored): Stored {
    const old = this.get(resource, object.metadata.name);
    const uid = old?.metadata.uid ?? `uid-${++this.#uid}`;
    const { unknown: _, ...spec } = object.spec ?? {};
    const same = { ...object, spec: { defaulted: true, ...spec }, metadata: { ...object.metadata, uid } };
    // A write that changes nothing makes no new version.
    if (old !== undefined && JSON.stringify(sorted(same)) === JSON.stringify(sorted(old))) return old;
    const stored = { ...same, metadata: { ...same.metadata, resourceVersion: String(++this.version) } };
    this.#kinds.get(resource)!.set(object.metadata.name, stored);
    this.#tell(resource, 'applied', stored);
    return stored;
  }

  remove(resource: string, name: string): void {
    const object = this.get(resource, name);
    if (object === undefined) return;
    this.#kinds.get(resource)!.delete(name);
    const metadata = { ...object.metadata, resourceVersion: String(++this.version) };
    this.#tell(resource, 'deleted', { ...object, metadata });
  }

  /** Carries out what the writer asks for; `breach` is told of anything that was not the writer's to touch. */
  take(call: Exclude<WriteCall, { verb: 'read-owner' }>, breach: (text: string) => void): WriteAnswer {
    const failed = (status: number): WriteAnswer => ({ ok: false, status, message: `${call.verb}: ${status}` });
    const { resource } = call;
    if (!this.has(resource)) return failed(404);
    if (call.verb === 'look') return { ok: true, objects: [] };
    if (call.verb === 'list')
      return { ok: true, objects: this.all(resource).filter((object) => matches(object, call.labels)) };
    const there = this.get(resource, call.name);
    if (call.verb === 'read') return there === undefined ? failed(404) : { ok: true, objects: [there] };
    const isTheirs = (object: Stored) =>
      object.metadata.name.startsWith(THEIRS) || (call.verb !== 'delete' && !NAMES.includes(object.metadata.name));
    if (there !== undefined && isTheirs(there)) breach(`${call.verb} of ${call.name}, which is none of ours`);
    switch (call.verb) {
      case 'delete':
        if (there === undefined) return failed(404);
        if (call.uid !== undefined && call.uid !== there.metadata.uid) return failed(409);
        this.remove(resource, call.name);
        return { ok: true, objects: [] };
      case 'create':
        if (there !== undefined) return failed(409);
        return { ok: true, objects: [this.put(resource, call.body as Stored)] };
      case 'replace': {
        const body = call.body as Stored;
        if (there === undefined) return failed(404);
        if (body.metadata.resourceVersion !== there.metadata.resourceVersion) return failed(409);
        return { ok: true, objects: [this.put(resource, { ...there, ...body })] };
      }
      case 'apply':
        return this.#apply(resource, call.name, call.subresource, call.body as Stored, failed);
    }
  }

  #apply(
    resource: string,
    name: string,
    subresource: 'status' | undefined,
    body: Stored,
    failed: (status: number) => WriteAnswer,
  ): WriteAnswer {
    const there = this.get(resource, name);
    if (subresource !== undefined && there === undefined) return failed(404);
    const merge = (old: Fields = {}, ours: Fields = {}) => ({
      ...Object.fromEntries(Object.entries(old).filter(([field]) => field === THEIRS)),
      ...ours,
    });
    if (subresource !== undefined) {
      const { unknown: _, ...status } = body.status ?? {};
      return { ok: true, objects: [this.put(resource, { ...there!, status: merge(there!.status, status) })] };
    }
    const metadata = {
      ...there?.metadata,
      ...body.metadata,
      labels: { ...there?.metadata.labels, ...body.metadata.labels },
    };
    const spec = merge(there?.spec, body.spec);
    return { ok: true, objects: [this.put(resource, { ...there, metadata, spec })] };
  }

  #tell(resource: string, kind: 'applied' | 'deleted', object: Stored): void {
    for (const follower of [...this.#followers]) if (follower.resource === resource) follower.onEvent(kind, object);
  }
}

function matches({ metadata }: KubernetesObject, labels: Labels): boolean {
  return Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value);
}

/** Without the version, and with fields in the order of their names. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value) || value === null || typeof value !== 'object') return value;
  return Object.entries(value)
    .filter(([key]) => key !== 'resourceVersion' && key !== 'apiVersion' && key !== 'kind')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, part]) => [key, sorted(part)]);
}

function targetOf(call: WriteCall): string | undefined {
  if (call.verb === 'look' || call.verb === 'read-owner') return call.verb + ('resource' in call ? call.resource : '');
  if (call.verb === 'list' || (call.verb === 'delete' && !NAMES.includes(call.name))) return undefined;
  return `${call.resource}/${call.name}`;
}
