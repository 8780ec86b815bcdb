import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../sim/clock.ts';
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import type { Desired } from '../../core/kubernetes/writer/messages.ts';
import type { ApiAnswer, ApiFailure, ApiRequest, ApiTransport, WatchHandlers } from './transport.ts';
import { selectorOf, Writer, type WriterOptions } from './writer.ts';

interface Sent {
  readonly request: ApiRequest;
  readonly answer: (body: unknown) => void;
  readonly refuse: (status: number, message?: string) => void;
}

/** An API server whose answers the test writes. */
class HandWrittenApi implements ApiTransport {
  readonly #sent: Sent[] = [];
  /** Watches that stand, by query. */
  readonly watches = new Map<ApiRequest, WatchHandlers>();

  send<T>(request: ApiRequest, onAnswer: (answer: ApiAnswer<T>) => void): () => void {
    const fail = (failure: ApiFailure) => onAnswer({ ok: false, failure });
    this.#sent.push({
      request,
      answer: (body) => onAnswer({ ok: true, body: body as T }),
      refuse: (status, message = `status ${status}`) => fail({ status, reason: '', message }),
    });
    return () => {};
  }

  open(request: ApiRequest, handlers: WatchHandlers): () => void {
    this.watches.set(request, handlers);
    handlers.onOpen();
    return () => this.watches.delete(request);
  }

  /** The only request that has no answer yet. */
  next(): Sent {
    const [first, second] = this.#sent.splice(0);
    if (first === undefined || second !== undefined)
      throw new Error(`no request, or more than one: ${second?.request.path}`);
    return first;
  }

  get isIdle(): boolean {
    return this.#sent.length === 0;
  }
}

const STATES = '/apis/metallb.io/v1beta1/namespaces/lbs/configurationstates';
const desired = (name: string, more: Partial<Desired> & { status?: unknown; spec?: unknown } = {}): Desired => {
  const { supersedes, ...fields } = more;
  return {
    resource: 'configurationstates',
    object: {
      apiVersion: 'metallb.io/v1beta1',
      kind: 'ConfigurationState',
      metadata: { name, labels: { by: 'me' } },
      ...fields,
    },
    ...(supersedes !== undefined && { supersedes }),
  };
};
const stored = (wanted: Desired, version: number, more: object = {}): KubernetesObject => ({
  ...wanted.object,
  metadata: {
    ...wanted.object.metadata,
    namespace: 'lbs',
    uid: `uid-${wanted.object.metadata.name}`,
    resourceVersion: String(version),
  },
  ...more,
});
const list = (...items: readonly KubernetesObject[]) => ({ metadata: { resourceVersion: '5' }, items });

function writer(options: Partial<WriterOptions> = {}) {
  const api = new HandWrittenApi();
  const clock = new VirtualClock();
  const log: string[] = [];
  const made = new Writer({
    client: api,
    clock,
    namespace: 'lbs',
    watched: { configurationstates: { labelSelector: 'by=me' } },
    whenMissing: (resource) => `there are no ${resource}`,
    fieldManager: 'metallb-test',
    podName: '',
    identity: 'me',
    settings: { mark: { by: 'me' } },
    onTrouble: (message, what) => log.push(`${what}: ${message}`),
    onDone: (what, resource, name) => log.push(`${what} ${resource} ${name}`),
    ...options,
  });
  return { api, clock, log, writer: made, pass: (ms: number) => clock.runUntil(clock.now() + ms, () => {}) };
}

/** A writer that has found the kind and listed it. */
function running(options: Partial<WriterOptions> = {}, ...there: readonly KubernetesObject[]) {
  const all = writer(options);
  all.writer.start();
  all.api.next().answer(list());
  all.api.next().answer(list(...there));
  return all;
}
const watchOf = ({ api }: Pick<ReturnType<typeof running>, 'api'>) => [...api.watches.values()][0]!;

describe('the requests of a writer', () => {
  it('begin with a look for the kind, then list and watch no more than what is ours', () => {
    const { api, writer: made } = writer({
      watched: { configurationstates: { labelSelector: 'by=me', fieldSelector: 'metadata.name=x' } },
    });
    made.start();
    const look = api.next();
    expect(look.request).toEqual({
      path: STATES,
      query: { limit: 1, labelSelector: 'by=me', fieldSelector: 'metadata.name=x' },
    });
    look.answer(list());
    const listing = api.next();
    expect(listing.request).toMatchObject({
      path: STATES,
      query: { labelSelector: 'by=me', fieldSelector: 'metadata.name=x' },
    });
    listing.answer(list());
    expect([...api.watches.keys()]).toMatchObject([
      {
        path: STATES,
        query: { watch: true, resourceVersion: '5', labelSelector: 'by=me', fieldSelector: 'metadata.name=x' },
      },
    ]);
  });

  it('apply an object by force as our field manager, then its status as a subresource', () => {
    const { api, log, writer: made } = running();
    const wanted = desired('a b', { spec: { x: 1 }, status: { y: 2 } });
    made.set('configurationstates', 'a b', wanted);
    const main = api.next();
    expect(main.request).toEqual({
      method: 'PATCH',
      path: `${STATES}/a%20b`,
      query: { fieldManager: 'metallb-test', force: true },
      contentType: 'application/apply-patch+yaml',
      body: {
        apiVersion: 'metallb.io/v1beta1',
        kind: 'ConfigurationState',
        metadata: { name: 'a b', namespace: 'lbs', labels: { by: 'me' } },
        spec: { x: 1 },
      },
    });
    const { status, ...withoutStatus } = stored(wanted, 6) as KubernetesObject & { status?: unknown };
    main.answer(withoutStatus);
    const sub = api.next();
    expect(sub.request).toMatchObject({ method: 'PATCH', path: `${STATES}/a%20b/status`, body: { status: { y: 2 } } });
    expect(sub.request.body).not.toHaveProperty('spec');
    expect(log).toEqual([]);
    sub.answer(stored(wanted, 7, { status }));
    expect(log).toEqual(['written configurationstates a b']);
    expect(api.isIdle).toBe(true);
  });

  it('delete what is not wanted any more, if it still is the one that was seen', () => {
    const there = stored(desired('a'), 4);
    const { api, log, writer: made } = running({}, there);
    made.set('configurationstates', 'a', undefined);
    const removal = api.next();
    expect(removal.request).toEqual({
      method: 'DELETE',
      path: `${STATES}/a`,
      body: { preconditions: { uid: 'uid-a' } },
    });
    removal.answer({});
    expect(log).toEqual(['removed configurationstates a']);
  });

  it('delete by name alone what they have never seen, but may have written', () => {
    const { api, log, writer: made, pass } = writer({ watched: { configurationstates: undefined } });
    made.start();
    made.set('configurationstates', 'a', desired('a'));
    expect(api.isIdle).toBe(true);
    // The list of what there is does not come.
    pass(5000);
    api.next().refuse(504, 'no answer');
    made.set('configurationstates', 'a', undefined);
    pass(60_000);
    const removal = api.next();
    expect(removal.request).toEqual({ method: 'DELETE', path: `${STATES}/a` });
    removal.refuse(404);
    expect(log).toEqual(['failed: no answer', 'removed configurationstates a']);
  });

  it('list what an object takes the place of by its labels, and delete that first', () => {
    const { api, writer: made } = running();
    const wanted = desired('new', { supersedes: { by: 'me', of: 'x' } });
    made.set('configurationstates', 'new', wanted);
    const old = api.next();
    expect(old.request).toEqual({ path: STATES, query: { labelSelector: 'by=me,of=x' } });
    old.answer(list(stored(desired('old'), 3), stored(wanted, 4)));
    const removal = api.next();
    expect(removal.request).toMatchObject({
      method: 'DELETE',
      path: `${STATES}/old`,
      body: { preconditions: { uid: 'uid-old' } },
    });
    removal.answer({});
    expect(api.next().request).toMatchObject({ method: 'PATCH', path: `${STATES}/new` });
  });

  it('take a list without items, as Go writes an empty one, for an empty list', () => {
    const { api, writer: made } = running();
    made.set('configurationstates', 'new', desired('new', { supersedes: { of: 'x' } }));
    api.next().answer({ metadata: {}, items: null });
    expect(api.next().request).toMatchObject({ method: 'PATCH', path: `${STATES}/new` });
  });

  it('read, create and replace where the whole object is ours', () => {
    const settings = { mark: {}, mode: 'replace' } as const;
    const { api, log, writer: made, pass } = running({ settings });
    const wanted = desired('a', { spec: { x: 1 } });
    made.set('configurationstates', 'a', wanted);
    const reading = api.next();
    expect(reading.request).toEqual({ path: `${STATES}/a` });
    reading.refuse(404);
    const creation = api.next();
    expect(creation.request).toMatchObject({
      method: 'POST',
      path: STATES,
      body: { metadata: { name: 'a', namespace: 'lbs' }, spec: { x: 1 } },
    });
    creation.answer(stored(wanted, 6));
    made.set('configurationstates', 'a', desired('a', { spec: { x: 2 } }));
    pass(1000);
    const again = api.next();
    expect(again.request).toEqual({ path: `${STATES}/a` });
    again.answer(stored(wanted, 7));
    expect(api.next().request).toMatchObject({
      method: 'PUT',
      path: `${STATES}/a`,
      body: { metadata: { resourceVersion: '7' }, spec: { x: 2 } },
    });
    expect(log).toEqual(['written configurationstates a']);
  });

  it('ask for the Pod that owns the objects before they write any, and name it as the owner', () => {
    const { api, writer: made } = writer({ podName: 'speaker-x', watched: { configurationstates: undefined } });
    made.start();
    made.observe('configurationstates', { kind: 'replaced', objects: [], version: '9' });
    made.set('configurationstates', 'a', desired('a'));
    const owner = api.next();
    expect(owner.request).toEqual({ path: '/api/v1/namespaces/lbs/pods/speaker-x' });
    owner.answer({ metadata: { name: 'speaker-x', uid: 'uid-x' } });
    expect(api.next().request).toMatchObject({
      method: 'PATCH',
      body: { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'speaker-x', uid: 'uid-x' }] } },
    });
  });
});

describe('what a writer is told', () => {
  it('are changes of its own namespace only, when the process watches the resource for it', () => {
    const { api, log, writer: made, pass } = writer({ watched: { configurationstates: undefined } });
    const ours = stored(desired('a'), 4);
    const elsewhere = { ...ours, metadata: { ...ours.metadata, namespace: 'other' } };
    made.start();
    made.observe('configurationstates', { kind: 'replaced', objects: [elsewhere], version: '9' });
    made.observe('configurationstates', { kind: 'applied', object: elsewhere });
    made.sweep();
    pass(60_000);
    expect(api.isIdle).toBe(true);
    made.observe('configurationstates', { kind: 'replaced', objects: [elsewhere, ours], version: '9' });
    pass(60_000);
    expect(api.next().request).toMatchObject({ method: 'DELETE', path: `${STATES}/a` });
    expect(log).toEqual([]);
  });

  it('is by its own watch that somebody has deleted an object, which it writes again', () => {
    const all = running();
    const { api, writer: made, pass } = all;
    made.set('configurationstates', 'a', desired('a'));
    api.next().answer(stored(desired('a'), 6));
    watchOf(all).onEvent('DELETED', stored(desired('a'), 7));
    expect(api.isIdle).toBe(true);
    pass(10_000);
    expect(api.next().request).toMatchObject({ method: 'PATCH', path: `${STATES}/a` });
  });

  it('is that the cluster does not have the kind, in the words of who uses it', () => {
    const { api, log, writer: made } = writer();
    made.start();
    api.next().refuse(404);
    expect(log).toEqual(['missing: there are no configurationstates']);
    made.set('configurationstates', 'a', desired('a'));
    expect(api.isIdle).toBe(true);
  });

  it('is why a request failed, and it tries again', () => {
    const { api, log, writer: made, pass } = running();
    made.set('configurationstates', 'a', desired('a'));
    api.next().refuse(422, 'spec.x: Invalid value');
    expect(log).toEqual(['failed: spec.x: Invalid value']);
    pass(60_000);
    api.next().answer(stored(desired('a'), 6));
    expect(log.at(-1)).toBe('written configurationstates a');
  });

  it('is why its own list failed', () => {
    const { api, log, writer: made } = writer();
    made.start();
    api.next().answer(list());
    api.next().refuse(403, 'you may not list');
    expect(log).toEqual(['failed: you may not list']);
  });
});

describe('the end of a writer', () => {
  it('is at once where nothing is under way, and its watches end with it', () => {
    const all = running();
    expect(all.api.watches.size).toBe(1);
    let isStopped = false;
    all.writer.stop(() => {
      isStopped = true;
    });
    expect([isStopped, all.api.watches.size]).toEqual([true, 0]);
    all.writer.set('configurationstates', 'a', desired('a'));
    expect(all.api.isIdle).toBe(true);
  });

  it.each([
    ['that comes', (answer: Sent) => answer.answer(stored(desired('a'), 6)), 0],
    ['that fails', (answer: Sent) => answer.refuse(500), 0],
    ['that never comes, but no longer than 5 s', () => {}, 5000],
  ])('waits for an answer %s', (_, end, wait) => {
    const { api, writer: made, pass } = running();
    made.set('configurationstates', 'a', desired('a', { status: { y: 1 } }));
    const request = api.next();
    let isStopped = false;
    made.stop(() => {
      isStopped = true;
    });
    pass(4999);
    expect(isStopped).toBe(false);
    end(request);
    if (wait > 0) pass(1);
    expect(isStopped).toBe(true);
    // The status would have come next.
    expect(api.isIdle).toBe(true);
  });
});

describe('two writers', () => {
  /** When a refused write is tried again. */
  const retryOf = (identity: string) => {
    const { api, writer: made, clock, pass } = running({ identity });
    made.set('configurationstates', 'a', desired('a'));
    api.next().refuse(422);
    const began = clock.now();
    while (api.isIdle) pass(1);
    return clock.now() - began;
  };

  it('of two nodes do not try again in step, and one does so as it did before', () => {
    const pauses = ['node-1', 'node-2', 'node-3', 'node-4'].map(retryOf);
    expect(new Set(pauses).size).toBeGreaterThan(1);
    expect(retryOf('node-1')).toBe(pauses[0]);
  });
});

it.each([
  [{}, ''],
  [{ a: 'b' }, 'a=b'],
  [{ a: 'b', 'c.io/d': '' }, 'a=b,c.io/d='],
])('labels %j are the selector %j', (labels, text) => {
  expect(selectorOf(labels)).toBe(text);
});
