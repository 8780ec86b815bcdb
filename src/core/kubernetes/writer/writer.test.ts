import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from '../../api/kubernetes.ts';
import { writerMachine } from './fsm.ts';
import type { Desired, WriteAnswer, WriteCall, WriterInput, WriterOutput } from './messages.ts';
import { initialWriter, type WriterSettings } from './state.ts';

const SETTINGS: WriterSettings = {
  resources: [{ resource: 'things', isWatchedByUs: true, whenMissing: 'there are no things here' }],
  namespace: 'space',
  mode: 'apply',
  mark: { node: 'me' },
  adopts: true,
  isOwned: false,
  limit: 32,
  gather: 0,
  seed: 7,
};
const SECOND = 1000;
const MINUTE = 60 * SECOND;

interface Thing extends KubernetesObject {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

const desired = (name: string, spec: object, status?: object): Desired => ({
  resource: 'things',
  object: {
    apiVersion: 'v1',
    kind: 'Thing',
    metadata: { name, labels: { node: 'me' } },
    spec,
    ...(status !== undefined && { status }),
  },
});

/** A writer and an API server, on time that moves when the test says so. Watch and answers take no time unless `latency` says so. */
function cluster(changed: Partial<WriterSettings> = {}) {
  const settings = { ...SETTINGS, ...changed };
  let state = initialWriter(settings);
  let now = 0;
  let version = 0;
  const things = new Map<string, Thing>();
  const server = {
    refuse: (_call: WriteCall): number | undefined => undefined,
    latency: 0,
    answersLate: false,
    isWatched: false,
  };
  const calls: { readonly at: number; readonly call: WriteCall }[] = [];
  const troubles: string[] = [];
  const others: string[] = [];
  let mostUnderWay = 0;
  let underWay = 0;
  let pending: { readonly at: number; readonly run: () => void }[] = [];

  const feed = (input: WriterInput | { kind: 'tick' }): void => {
    const { next, outputs } = writerMachine.step(state, input, now);
    state = next;
    for (const output of [...outputs]) perform(output);
  };
  const tell = (kind: 'applied' | 'deleted', object: Thing): void => {
    if (server.isWatched) pending.push({ at: now, run: () => feed({ kind, resource: 'things', object }) });
  };
  const put = (name: string, change: (old: Thing) => Thing): Thing => {
    const old = things.get(name) ?? { metadata: { name, uid: `uid-${version}` } };
    const { metadata, ...rest } = change(old);
    const thing = { ...rest, metadata: { ...metadata, name, resourceVersion: String(++version) } };
    things.set(name, thing);
    tell('applied', thing);
    return thing;
  };
  const remove = (name: string): void => {
    const thing = things.get(name)!;
    things.delete(name);
    tell('deleted', { ...thing, metadata: { ...thing.metadata, resourceVersion: String(++version) } });
  };
  const answer = (call: WriteCall): WriteAnswer => {
    const status = server.refuse(call);
    const failed = (code: number): WriteAnswer => ({ ok: false, status: code, message: `${call.verb}: ${code}` });
    if (status !== undefined) return failed(status);
    switch (call.verb) {
      case 'look':
        return { ok: true, objects: [] };
      case 'read-owner':
        return { ok: true, objects: [{ metadata: { name: 'pod', uid: 'pod-uid' } }] };
      case 'list':
        return {
          ok: true,
          objects: [...things.values()].filter(({ metadata }) => metadata.labels?.about === call.labels.about),
        };
      case 'delete':
        if (!things.has(call.name)) return failed(404);
        remove(call.name);
        return { ok: true, objects: [] };
      case 'read': {
        const thing = things.get(call.name);
        return thing === undefined ? failed(404) : { ok: true, objects: [thing] };
      }
      case 'replace':
        if (things.get(call.name)?.metadata.resourceVersion !== (call.body as Thing).metadata.resourceVersion)
          return failed(409);
        return { ok: true, objects: [put(call.name, (old) => ({ ...old, ...(call.body as Thing) }))] };
      case 'create':
        return { ok: true, objects: [put(call.name, () => call.body as Thing)] };
      case 'apply': {
        const { metadata, ...rest } = call.body as Thing;
        return {
          ok: true,
          objects: [put(call.name, (old) => ({ ...old, ...rest, metadata: { ...old.metadata, ...metadata } }))],
        };
      }
    }
  };
  const list = (): void => {
    feed({ kind: 'replaced', resource: 'things', objects: [...things.values()], version: String(version) });
  };
  const perform = (output: WriterOutput): void => {
    if (output.kind === 'trouble') troubles.push(output.message);
    else if (output.kind === 'send') {
      calls.push({ at: now, call: output.call });
      mostUnderWay = Math.max(mostUnderWay, ++underWay);
      // What takes the time: the way there, or the way back.
      const early = server.answersLate ? answer(output.call) : undefined;
      const run = () => {
        const given = early ?? answer(output.call);
        underWay--;
        feed({ kind: 'answered', id: output.id, answer: given });
      };
      pending.push({ at: now + server.latency, run });
    } else if (output.kind === 'watch') {
      server.isWatched = true;
      pending.push({
        at: now,
        run: list,
      });
    } else if (output.kind === 'unwatch') server.isWatched = false;
    else others.push(output.kind);
  };
  const run = (duration: number): void => {
    const end = now + duration;
    for (;;) {
      const next = pending.reduce<(typeof pending)[number] | undefined>(
        (first, entry) => (first === undefined || entry.at < first.at ? entry : first),
        undefined,
      );
      const deadline = writerMachine.nextDeadline(state)?.at ?? Number.POSITIVE_INFINITY;
      const at = Math.min(next?.at ?? Number.POSITIVE_INFINITY, deadline);
      if (at > end) break;
      now = Math.max(now, at);
      if (next !== undefined && next.at <= deadline) {
        pending = pending.filter((entry) => entry !== next);
        next.run();
      } else feed({ kind: 'tick' });
    }
    now = end;
  };
  const set = (name: string, wanted: Desired | undefined) =>
    feed({ kind: 'set', resource: 'things', name, desired: wanted });
  const writes = () => calls.filter(({ call }) => !['look', 'list', 'read', 'read-owner'].includes(call.verb));
  return {
    server,
    things,
    calls,
    writes,
    troubles,
    others,
    feed,
    set,
    put,
    remove,
    run,
    list,
    clear: () => {
      calls.length = 0;
      troubles.length = 0;
    },
    time: () => now,
    mostUnderWay: () => mostUnderWay,
    state: () => state,
  };
}

/** A writer that has written one object and is at rest. */
function settled(changed: Partial<WriterSettings> = {}, wanted = desired('a', { x: 1 }, { y: 1 })) {
  const c = cluster(changed);
  c.feed({ kind: 'start' });
  c.set('a', wanted);
  c.run(MINUTE);
  c.clear();
  return c;
}

describe('the writer', () => {
  it('writes what is wanted: the object first, then its status', () => {
    const c = cluster();
    c.feed({ kind: 'start' });
    c.set('a', desired('a', { x: 1 }, { y: 1 }));
    c.run(SECOND);
    expect(c.writes().map(({ call }) => call)).toEqual([
      {
        verb: 'apply',
        resource: 'things',
        name: 'a',
        body: {
          apiVersion: 'v1',
          kind: 'Thing',
          metadata: { name: 'a', namespace: 'space', labels: { node: 'me' } },
          spec: { x: 1 },
        },
      },
      {
        verb: 'apply',
        resource: 'things',
        name: 'a',
        subresource: 'status',
        body: { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'a', namespace: 'space' }, status: { y: 1 } },
      },
    ]);
    expect(c.others).toEqual(['written']);
  });

  it('lets the objects be owned by the Pod, once it knows it', () => {
    const c = settled({ isOwned: true });
    const { metadata } = c.things.get('a') as unknown as { metadata: { ownerReferences: unknown } };
    expect(metadata.ownerReferences).toEqual([{ apiVersion: 'v1', kind: 'Pod', name: 'pod', uid: 'pod-uid' }]);
  });

  it('writes nothing when what an earlier life has written is right', () => {
    const c = cluster();
    c.put('a', (old) => ({
      ...old,
      metadata: { ...old.metadata, labels: { node: 'me' } },
      spec: { x: 1 },
      status: { y: 1 },
    }));
    c.feed({ kind: 'start' });
    c.set('a', desired('a', { x: 1 }, { y: 1 }));
    c.run(MINUTE);
    expect(c.writes()).toEqual([]);
  });

  it('writes only the part that has changed, and nothing for a condition that is only younger', () => {
    const c = settled({}, desired('a', { x: 1 }, { conditions: [{ type: 'T', lastTransitionTime: '1' }] }));
    c.set('a', desired('a', { x: 1 }, { conditions: [{ type: 'T', lastTransitionTime: '2' }] }));
    c.run(MINUTE);
    expect(c.writes()).toEqual([]);
    c.set('a', desired('a', { x: 1 }, { y: 2 }));
    c.run(MINUTE);
    expect(c.writes().map(({ call }) => (call.verb === 'apply' ? call.subresource : call.verb))).toEqual(['status']);
  });

  it('gives a field up that is no longer asked for', () => {
    const c = settled({}, desired('a', { x: 1, more: 2 }));
    c.set('a', desired('a', { x: 1 }));
    c.run(MINUTE);
    expect(c.writes().map(({ call }) => (call as { body?: Thing }).body?.spec)).toEqual([{ x: 1 }]);
  });

  it('gathers changes that come together, from the first of them on', () => {
    const c = settled({ gather: 3000 });
    for (let x = 2; x < 12; x++) {
      c.set('a', desired('a', { x }, { y: 1 }));
      c.run(500);
    }
    c.run(MINUTE);
    expect(c.writes().map(({ call }) => (call as { body?: Thing }).body?.spec)).toEqual([{ x: 7 }, { x: 11 }]);
  });
});

describe('other people’s hands', () => {
  it('puts right what somebody has edited, a moment later', () => {
    const c = settled();
    c.put('a', (old) => ({ ...old, spec: { x: 99 } }));
    c.run(400);
    expect(c.writes()).toEqual([]);
    c.run(SECOND);
    expect(c.things.get('a')!.spec).toEqual({ x: 1 });
    expect(c.writes()).toHaveLength(1);
  });

  it('makes again what somebody has deleted', () => {
    const c = settled();
    c.remove('a');
    c.run(2 * SECOND);
    expect(c.things.get('a')).toMatchObject({ spec: { x: 1 }, status: { y: 1 } });
  });

  it.each(['watch', 'list'] as const)(
    'makes it again as well when the news of it, by %s, comes before the answer to our own write',
    (source) => {
      const c = settled();
      c.server.latency = 100;
      c.server.answersLate = true;
      c.set('a', desired('a', { x: 2 }, { y: 1 }));
      c.run(50);
      expect(c.things.get('a')!.spec).toEqual({ x: 2 });
      if (source === 'list') c.server.isWatched = false;
      c.remove('a');
      c.run(0);
      if (source === 'list') c.list();
      c.server.isWatched = true;
      c.run(MINUTE);
      expect(c.things.get('a')).toMatchObject({ spec: { x: 2 }, status: { y: 1 } });
    },
  );

  it('lets an object go that nobody wants any more before it would have been made again', () => {
    const c = settled();
    c.remove('a');
    c.run(100);
    c.set('a', undefined);
    c.run(MINUTE);
    expect(c.writes()).toEqual([]);
  });

  it('does not mind what others add: their labels, their annotations', () => {
    const c = settled();
    c.put('a', (old) => ({
      ...old,
      metadata: { ...old.metadata, labels: { ...old.metadata.labels, theirs: 'x' }, annotations: { theirs: 'x' } },
    }));
    c.run(MINUTE);
    expect(c.writes()).toEqual([]);
  });

  it('takes what the server makes of its words for its own', () => {
    const c = cluster();
    c.feed({ kind: 'start' });
    c.set('a', desired('a', { x: 1, unknown: 1 }));
    // The server has pruned and defaulted in the same moment.
    c.run(0);
    const before = c.writes().length;
    const { unknown: _, ...spec } = c.things.get('a')!.spec!;
    c.put('a', (old) => ({ ...old, spec: { ...spec, defaulted: 1 } }));
    c.run(10 * MINUTE);
    // One write more: what was answered to it is what there is to be.
    expect(c.writes().length).toBe(before + 1);
  });

  it('answers a fighter less and less often, and says so once', () => {
    const c = settled();
    for (let i = 0; i < 3600; i++) {
      c.put('a', (old) => ({ ...old, spec: { x: 99 } }));
      c.run(SECOND);
    }
    expect(c.writes().length).toBeLessThan(25);
    expect(c.writes().length).toBeGreaterThan(10);
    expect(c.troubles).toEqual([
      'Thing space/a keeps being changed by another client; it is corrected, but at most every 40 s',
    ]);
    c.run(10 * MINUTE);
    expect(c.things.get('a')!.spec).toEqual({ x: 1 });
  });

  it('leaves alone what somebody else has made under the same name, until it is gone', () => {
    const c = cluster({ adopts: false });
    c.put('a', (old) => ({ ...old, spec: { x: 99 } }));
    c.feed({ kind: 'start' });
    c.set('a', desired('a', { x: 1 }));
    c.run(MINUTE);
    c.set('a', undefined);
    c.run(MINUTE);
    c.set('a', desired('a', { x: 1 }));
    c.run(MINUTE);
    expect(c.writes()).toEqual([]);
    c.remove('a');
    c.run(MINUTE);
    expect(c.things.get('a')!.spec).toEqual({ x: 1 });
  });

  it('sweeps what carries its mark and nobody wants, and nothing else', () => {
    const c = cluster();
    const marked = (node: string) => (old: Thing) => ({ ...old, metadata: { ...old.metadata, labels: { node } } });
    c.put('old', marked('me'));
    c.put('theirs', marked('you'));
    c.put('nobodys', (old) => old);
    c.feed({ kind: 'start' });
    c.set('a', desired('a', { x: 1 }));
    c.run(MINUTE);
    expect([...c.things.keys()].sort()).toEqual(['a', 'nobodys', 'old', 'theirs']);
    c.feed({ kind: 'sweep' });
    c.run(SECOND);
    expect([...c.things.keys()].sort()).toEqual(['a', 'nobodys', 'theirs']);
  });

  it('removes the object of whoever had the matter before', () => {
    const c = cluster();
    const about = (what: string) => (old: Thing) => ({
      ...old,
      metadata: { ...old.metadata, labels: { node: 'you', about: what } },
    });
    c.put('before', about('web'));
    c.put('other', about('db'));
    c.feed({ kind: 'start' });
    c.set('a', { ...desired('a', { x: 1 }), supersedes: { about: 'web' } });
    c.run(SECOND);
    expect([...c.things.keys()].sort()).toEqual(['a', 'other']);
  });
});

describe('an API server in trouble', () => {
  it('is tried with pauses that grow and differ from process to process, and gets one write in the end', () => {
    const attempts = [1, 2].map((seed) => {
      const c = settled({ seed });
      c.server.refuse = () => 0;
      c.set('a', desired('a', { x: 2 }, { y: 1 }));
      c.run(MINUTE);
      const times = c.calls.map(({ at }) => at - MINUTE);
      c.server.refuse = () => undefined;
      c.clear();
      c.run(MINUTE);
      expect(c.writes()).toHaveLength(1);
      return times;
    });
    for (const times of attempts) {
      expect(times.length).toBeGreaterThan(5);
      expect(times.length).toBeLessThan(20);
    }
    const [first, second] = attempts;
    expect(first!.slice(1).filter((time) => second!.includes(time))).toEqual([]);
  });

  it('is asked by one request at a time until one goes well, however many objects wait', () => {
    const c = cluster();
    c.feed({ kind: 'start' });
    c.run(SECOND);
    c.server.refuse = () => 503;
    c.server.latency = 100;
    for (let i = 0; i < 100; i++) c.set(`n${i}`, desired(`n${i}`, { x: 1 }));
    c.run(SECOND);
    c.clear();
    c.run(MINUTE);
    expect(c.calls.length).toBeLessThan(20);
    c.server.refuse = () => undefined;
    c.run(3 * MINUTE);
    expect(c.things.size).toBe(100);
  });

  it('has at most so many requests under way, for 5,000 objects', () => {
    const c = cluster();
    c.server.latency = 20;
    c.feed({ kind: 'start' });
    c.run(SECOND);
    for (let i = 0; i < 5000; i++) c.set(`n${i}`, desired(`n${i}`, { x: i }));
    c.run(MINUTE);
    expect([c.things.size, c.mostUnderWay(), c.writes().length]).toEqual([5000, 32, 5000]);
  });

  it('is slow: the order of one object is kept, and what was overtaken while it waited is not sent', () => {
    const c = settled();
    c.server.latency = 5000;
    for (const x of [2, 3, 4]) {
      c.set('a', desired('a', { x }, { y: 1 }));
      c.run(300);
    }
    c.run(MINUTE);
    expect(c.writes().map(({ call }) => (call as { body?: Thing }).body?.spec)).toEqual([{ x: 2 }, { x: 4 }]);
    expect(c.things.get('a')!.spec).toEqual({ x: 4 });
  });

  it('refuses one object: the others are written, and that one is tried again less and less often', () => {
    const c = cluster();
    c.server.refuse = (call) => ('name' in call && call.name === 'bad' ? 403 : undefined);
    c.feed({ kind: 'start' });
    for (const name of ['bad', 'good']) c.set(name, desired(name, { x: 1 }));
    c.run(10 * MINUTE);
    expect([...c.things.keys()]).toEqual(['good']);
    expect(c.troubles.length).toBeGreaterThan(8);
    expect(c.troubles.length).toBeLessThan(25);
  });

  it('may not let us list: then we write without knowing what is there', () => {
    const c = cluster();
    c.server.refuse = (call) => (call.verb === 'look' ? 403 : undefined);
    c.feed({ kind: 'start' });
    c.set('a', desired('a', { x: 1 }));
    c.server.isWatched = false;
    c.run(MINUTE);
    expect(c.things.has('a')).toBe(true);
  });
});

describe('replacing', () => {
  const replace = { mode: 'replace', mark: {}, adopts: true } as const;

  it('reads the object again when somebody was faster', () => {
    const c = settled(replace, desired('a', { x: 1 }));
    let isFirst = true;
    c.server.refuse = (call) => {
      if (call.verb === 'replace' && isFirst) {
        isFirst = false;
        c.put('a', (old) => ({ ...old, spec: { x: 77 } }));
      }
      return undefined;
    };
    c.set('a', desired('a', { x: 2 }));
    c.run(MINUTE);
    expect(c.writes().map(({ call }) => call.verb)).toEqual(['replace', 'replace']);
    expect(c.things.get('a')!.spec).toEqual({ x: 2 });
  });

  it('takes out what somebody has put into the spec', () => {
    const c = settled(replace, desired('a', { x: 1 }));
    c.put('a', (old) => ({ ...old, spec: { ...old.spec, raw: 'y' } }));
    c.run(MINUTE);
    expect(c.things.get('a')!.spec).toEqual({ x: 1 });
  });
});

describe('a kind that the cluster does not have', () => {
  it('is said once and looked for rarely; when it comes, what waits is written', () => {
    const c = cluster();
    c.server.refuse = () => 404;
    c.feed({ kind: 'start' });
    c.set('a', desired('a', { x: 1 }));
    c.run(60 * MINUTE);
    expect(c.troubles).toEqual(['there are no things here']);
    expect(c.calls.length).toBeLessThan(25);
    expect(c.writes()).toEqual([]);
    c.server.refuse = () => undefined;
    c.run(6 * MINUTE);
    expect(c.things.has('a')).toBe(true);
  });

  it('may go while it is in use', () => {
    const c = settled();
    c.server.refuse = () => 404;
    c.set('a', desired('a', { x: 2 }));
    c.run(10 * MINUTE);
    expect(c.troubles).toEqual(['there are no things here']);
    expect(c.server.isWatched).toBe(false);
    c.things.clear();
    c.server.refuse = () => undefined;
    c.run(6 * MINUTE);
    expect(c.things.get('a')!.spec).toEqual({ x: 2 });
  });

  it('is there, but the namespace is not: the server’s word is said once', () => {
    const c = cluster();
    c.server.refuse = (call) => (call.verb === 'look' ? undefined : 404);
    c.feed({ kind: 'start' });
    c.set('a', desired('a', { x: 1 }));
    c.run(60 * MINUTE);
    expect(c.troubles).toEqual(['apply: 404']);
    expect(c.calls.length).toBeLessThan(90);
  });
});

describe('stopping', () => {
  it('begins nothing more and waits for what is under way', () => {
    const c = settled({ limit: 1 });
    c.server.latency = 1000;
    c.set('a', desired('a', { x: 2 }, { y: 2 }));
    c.set('b', desired('b', { x: 1 }));
    c.others.length = 0;
    c.feed({ kind: 'stop' });
    expect(c.others).toEqual([]);
    c.run(SECOND);
    expect(c.others).toEqual(['stopped']);
    c.run(MINUTE);
    expect(c.writes()).toHaveLength(1);
  });

  it('gives up on a request that takes too long', () => {
    const c = settled();
    c.server.latency = MINUTE;
    c.set('a', desired('a', { x: 2 }));
    c.others.length = 0;
    c.feed({ kind: 'stop' });
    c.run(4 * SECOND);
    expect(c.others).toEqual([]);
    c.run(2 * SECOND);
    expect(c.others).toEqual(['stopped']);
  });
});
