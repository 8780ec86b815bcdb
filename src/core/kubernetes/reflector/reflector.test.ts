import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from '../../api/kubernetes.ts';
import {
  type AfterFailure,
  initialReflector,
  isSynced,
  type ReflectorInput,
  type ReflectorOutput,
  reflectorMachine,
  WATCH_SECONDS,
} from './fsm.ts';

const object = (name: string, resourceVersion = '1'): KubernetesObject => ({ metadata: { name, resourceVersion } });

/** A reflector with a clock; `feed` answers the request that is open. */
function reflector(seed = 1, afterFailure?: AfterFailure) {
  let state = initialReflector(seed, afterFailure);
  let now = 0;
  type Loose = ReflectorInput extends infer I ? (I extends { request: number } ? Omit<I, 'request'> : I) : never;
  const step = (input: ReflectorInput | { kind: 'tick' }): readonly ReflectorOutput[] => {
    const result = reflectorMachine.step(state, input, now);
    state = result.next;
    return result.outputs;
  };
  return {
    feed: (input: Loose) => step({ request: state.request, ...input } as ReflectorInput),
    raw: step,
    /** Lets time pass to the next deadline. */
    wait: () => {
      const deadline = reflectorMachine.nextDeadline(state);
      if (deadline === undefined) throw new Error('no deadline to wait for');
      const waited = deadline.at - now;
      now = deadline.at;
      return { waited, outputs: step({ kind: 'tick' }) };
    },
    pass: (ms: number) => {
      now += ms;
    },
    get state() {
      return state;
    },
  };
}

function watching(afterFailure?: AfterFailure) {
  const r = reflector(1, afterFailure);
  r.feed({ kind: 'start' });
  r.feed({ kind: 'page-received', items: [object('a')], resourceVersion: '10' });
  r.feed({ kind: 'watch-opened' });
  return r;
}

const kinds = (outputs: readonly ReflectorOutput[]) => outputs.map((o) => (o.kind === 'reported' ? o.what : o.kind));

describe('the reflector', () => {
  it('lists again when it is told to, whatever it was doing', () => {
    const r = watching();
    expect(kinds(r.feed({ kind: 'relist' }))).toEqual(['abandon', 'list']);
    expect(kinds(r.feed({ kind: 'page-received', items: [object('b')], resourceVersion: '20' }))).toEqual([
      'replaced',
      'watch',
    ]);
  });

  it('lists page by page, swaps the whole list in at once, and watches from there', () => {
    const r = reflector();
    expect(r.feed({ kind: 'start' })).toEqual([{ kind: 'list', request: 1, limit: 500 }]);
    expect(r.feed({ kind: 'page-received', items: [object('a')], resourceVersion: '10', continue: 'next' })).toEqual([
      { kind: 'list', request: 2, limit: 500, continue: 'next' },
    ]);
    expect(isSynced(r.state)).toBe(false);
    expect(r.feed({ kind: 'page-received', items: [object('b')], resourceVersion: '10' })).toEqual([
      { kind: 'replaced', objects: [object('a'), object('b')], version: '10' },
      { kind: 'watch', request: 3, resourceVersion: '10', timeoutSeconds: WATCH_SECONDS },
    ]);
    expect(isSynced(r.state)).toBe(true);
  });

  it('hands events on and remembers how far it came', () => {
    const r = watching();
    expect(kinds(r.feed({ kind: 'event-received', type: 'ADDED', object: object('b', '11') }))).toEqual(['applied']);
    expect(kinds(r.feed({ kind: 'event-received', type: 'MODIFIED', object: object('b', '12') }))).toEqual(['applied']);
    expect(kinds(r.feed({ kind: 'event-received', type: 'DELETED', object: object('b', '13') }))).toEqual(['deleted']);
    expect(r.state.resourceVersion).toBe('13');
  });

  it.each<[string, AfterFailure, (r: ReturnType<typeof watching>) => readonly ReflectorOutput[]]>([
    ['a failure', 'list', (r) => r.feed({ kind: 'failed', status: 0, message: 'ECONNRESET' })],
    ['an error in the watch', 'list', (r) => r.feed({ kind: 'event-received', type: 'ERROR', object: object('') })],
    ['silence', 'list', (r) => r.wait().outputs],
    ['410', 'list', (r) => r.feed({ kind: 'failed', status: 410, message: 'gone' })],
    ['410', 'resume', (r) => r.feed({ kind: 'failed', status: 410, message: 'gone' })],
  ])('says that it is interrupted, once, when it has to list again: after %s, to %s', (_, afterFailure, happen) => {
    const r = watching(afterFailure);
    const outputs = [...happen(r)];
    for (let i = 0; i < 3; i++) {
      if (r.state.phase.kind === 'waiting') outputs.push(...r.wait().outputs);
      outputs.push(...r.feed({ kind: 'failed', status: 0, message: 'ECONNREFUSED' }));
    }
    outputs.push(
      ...r.wait().outputs,
      ...r.feed({ kind: 'page-received', items: [object('b')], resourceVersion: '20' }),
    );
    const told = kinds(outputs).filter((kind) => kind === 'interrupted' || kind === 'replaced' || kind === 'watch');
    expect(told).toEqual(['interrupted', 'replaced', 'watch']);
  });

  it('is not interrupted by the end of a watch, by the failure of one that it resumes, or before it has listed', () => {
    const r = watching('list');
    r.pass(5000);
    expect(kinds(r.feed({ kind: 'watch-closed' }))).toEqual(['watch']);
    expect(kinds(watching().feed({ kind: 'failed', status: 0, message: 'x' }))).not.toContain('interrupted');
    const fresh = reflector(1, 'list');
    fresh.feed({ kind: 'start' });
    expect(kinds(fresh.feed({ kind: 'failed', status: 0, message: 'x' }))).not.toContain('interrupted');
  });

  it('resumes from a bookmark after the server closed the watch, without a list', () => {
    const r = watching();
    expect(r.feed({ kind: 'event-received', type: 'BOOKMARK', object: object('', '99') })).toEqual([]);
    r.pass(5000);
    expect(r.feed({ kind: 'watch-closed' })).toMatchObject([{ kind: 'watch', resourceVersion: '99' }]);
  });

  it('resumes after a reset, waiting longer each time that it fails again', () => {
    const r = watching();
    const waits: number[] = [];
    for (let i = 0; i < 10; i++) {
      expect(kinds(r.feed({ kind: 'failed', status: 0, message: 'ECONNRESET' }))).toEqual(['abandon', 'watch-failed']);
      const { waited, outputs } = r.wait();
      waits.push(waited);
      expect(outputs).toMatchObject([{ kind: 'watch', resourceVersion: '10' }]);
    }
    const longest = [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000];
    expect(waits.every((wait, i) => wait >= longest[i]! / 2 && wait <= longest[i]!)).toBe(true);
    r.feed({ kind: 'watch-opened' });
    r.feed({ kind: 'event-received', type: 'BOOKMARK', object: object('', '11') });
    r.feed({ kind: 'failed', status: 0, message: 'ECONNRESET' });
    expect(r.wait().waited).toBeLessThanOrEqual(200);
  });

  it('does not come back in step with others that lost the server in the same moment', () => {
    const waits = (seed: number) => {
      const r = reflector(seed);
      r.feed({ kind: 'start' });
      return Array.from({ length: 5 }, () => {
        r.feed({ kind: 'failed', status: 0, message: 'ECONNREFUSED' });
        return r.wait().waited;
      });
    };
    const all = Array.from({ length: 20 }, (_, seed) => waits(seed + 1));
    for (const [i, first] of [200, 400, 800, 1600, 3200].entries()) {
      const pauses = all.map((own) => own[i]!);
      expect(new Set(pauses).size).toBe(all.length);
      expect(Math.max(...pauses) - Math.min(...pauses)).toBeGreaterThan(first / 4);
    }
    expect(waits(1)).toEqual(all[0]);
  });

  it('takes a watch that opens for the end of an outage, however soon that one is cut', () => {
    const r = watching();
    for (let i = 0; i < 10; i++) {
      r.feed({ kind: 'failed', status: 0, message: 'ECONNREFUSED' });
      r.wait();
    }
    r.feed({ kind: 'watch-opened' });
    r.pass(500);
    r.feed({ kind: 'failed', status: 0, message: 'ECONNRESET' });
    expect(r.wait().waited).toBeLessThanOrEqual(400);
  });

  it('waits the shortest pause after a quiet watch that lasted, each time', () => {
    const r = watching();
    for (let i = 0; i < 10; i++) {
      r.pass(20_000);
      r.feed({ kind: 'failed', status: 0, message: 'ECONNRESET' });
      expect(r.wait().waited).toBeLessThanOrEqual(200);
      r.feed({ kind: 'watch-opened' });
    }
  });

  it('waits longer, up to five seconds, where each watch opens and is cut at once', () => {
    const r = watching();
    const waits = Array.from({ length: 10 }, () => {
      r.feed({ kind: 'failed', status: 0, message: 'ECONNRESET' });
      const { waited } = r.wait();
      r.feed({ kind: 'watch-opened' });
      return waited;
    });
    expect(waits[0]).toBeLessThanOrEqual(200);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(2500);
    expect(Math.max(...waits)).toBeLessThanOrEqual(5000);
  });

  it('gives up a list that is not answered, page by page, and a watch that does not open', () => {
    const r = reflector();
    r.feed({ kind: 'start' });
    r.pass(29_000);
    r.feed({ kind: 'page-received', items: [object('a')], resourceVersion: '10', continue: 'next' });
    const list = r.wait();
    expect([list.waited, kinds(list.outputs)]).toEqual([30_000, ['abandon', 'list-failed']]);
    expect(kinds(r.wait().outputs)).toEqual(['list']);
    r.feed({ kind: 'page-received', items: [object('a')], resourceVersion: '10' });
    const watch = r.wait();
    expect([watch.waited, kinds(watch.outputs)]).toEqual([30_000, ['abandon', 'watch-failed']]);
    expect(r.wait().outputs).toMatchObject([{ kind: 'watch', resourceVersion: '10' }]);
  });

  it('pauses when the server closes each watch at once', () => {
    const r = watching();
    expect(kinds(r.feed({ kind: 'watch-closed' }))).toEqual(['abandon', 'watch-failed']);
    r.wait();
    r.feed({ kind: 'watch-opened' });
    r.pass(1000);
    expect(kinds(r.feed({ kind: 'watch-closed' }))).toEqual(['watch']);
  });

  it.each([
    ['as an HTTP status', { kind: 'failed', status: 410, message: 'too old' }],
    [
      'as an event',
      {
        kind: 'event-received',
        type: 'ERROR',
        object: { code: 410, message: 'too old', metadata: { name: '' } } as KubernetesObject,
      },
    ],
  ] as const)('lists again on 410 that comes %s', (_, input) => {
    const r = watching();
    expect(kinds(r.feed(input))).toEqual(['abandon', 'expired', 'interrupted', 'list']);
    expect(kinds(r.feed({ kind: 'page-received', items: [object('c')], resourceVersion: '50' }))).toEqual([
      'replaced',
      'watch',
    ]);
    expect(r.state.resourceVersion).toBe('50');
  });

  it('does not list in a tight loop when every watch answers 410', () => {
    const r = watching();
    expect(kinds(r.feed({ kind: 'failed', status: 410, message: 'too old' }))).toContain('list');
    expect(kinds(r.feed({ kind: 'failed', status: 410, message: 'too old' }))).toEqual(['abandon', 'list-failed']);
    expect(kinds(r.wait().outputs)).toEqual(['list']);
  });

  it('starts the list over when the pages expire half way', () => {
    const r = reflector();
    r.feed({ kind: 'start' });
    r.feed({ kind: 'page-received', items: [object('a')], resourceVersion: '10', continue: 'next' });
    expect(r.feed({ kind: 'failed', status: 410, message: 'continue token expired' }).at(-1)).toEqual({
      kind: 'list',
      request: 3,
      limit: 500,
    });
    expect(r.feed({ kind: 'page-received', items: [object('b')], resourceVersion: '20' })[0]).toEqual({
      kind: 'replaced',
      objects: [object('b')],
      version: '20',
    });
  });

  it('keeps its place when the API server is away, and lists when it never had one', () => {
    const fresh = reflector();
    fresh.feed({ kind: 'start' });
    fresh.feed({ kind: 'failed', status: 0, message: 'ECONNREFUSED' });
    expect(kinds(fresh.wait().outputs)).toEqual(['list']);
    const old = watching();
    old.feed({ kind: 'failed', status: 503, message: 'starting' });
    expect(kinds(old.wait().outputs)).toEqual(['watch']);
  });

  it('takes a silent watch for half-open, abandons it and resumes', () => {
    const r = watching();
    r.pass(100_000);
    r.feed({ kind: 'event-received', type: 'BOOKMARK', object: object('', '20') });
    const { waited, outputs } = r.wait();
    expect(waited).toBe(300_000);
    expect(kinds(outputs)).toEqual(['abandon', 'half-open', 'watch']);
    expect(outputs.at(-1)).toMatchObject({ resourceVersion: '20' });
  });

  it('ignores what an abandoned request still says', () => {
    const r = watching();
    const old = r.state.request;
    r.feed({ kind: 'failed', status: 0, message: 'ECONNRESET' });
    expect(r.raw({ kind: 'event-received', request: old, type: 'DELETED', object: object('a') })).toEqual([]);
    expect(r.raw({ kind: 'watch-closed', request: old })).toEqual([]);
  });
});
