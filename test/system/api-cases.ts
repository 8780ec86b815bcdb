/**
 * What "a Kubernetes API" means to our users and to us, as cases for any server: the embedded one, or the one that
 * METALLB_TEST_KUBECONFIG points to (with our CRDs installed).
 * @module
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../lab/net/waiting.ts';
import { ApiError, type KubernetesClient, MERGE_PATCH } from '../../src/adapters/kubernetes/client.ts';
import { EventRecorder } from '../../src/adapters/kubernetes/events.ts';
import { type ReflectedChange, Reflector } from '../../src/adapters/kubernetes/reflector.ts';
import { objectKey } from '../../src/core/api/kubernetes.ts';

export interface ApiTarget {
  readonly client: KubernetesClient;
  /** Makes the server forget its history; absent where it cannot be done from here. */
  readonly compact?: () => void;
  /** Ends all connections; absent where it cannot be done from here. */
  readonly reset?: () => Promise<void>;
  /** Longest wait for a bookmark, in milliseconds. */
  readonly bookmarkWithin: number;
  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: objects of any kind, looked at field by field
type Json = any;

export function apiCases(open: () => Promise<ApiTarget>): void {
  let target: ApiTarget;
  const namespace = `test-${Math.random().toString(36).slice(2, 8)}`;
  const core = `/api/v1/namespaces/${namespace}`;
  const metallb = `/apis/metallb.io/v1beta1/namespaces/${namespace}`;
  const send = (
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    contentType?: string,
    query?: Record<string, string>,
  ): Promise<Json> =>
    target.client.request({
      method,
      path,
      body,
      ...(contentType !== undefined && { contentType }),
      ...(query !== undefined && { query }),
    });
  const refused = async (promise: Promise<unknown>): Promise<{ status: number; reason: string; message: string }> => {
    try {
      await promise;
    } catch (error) {
      if (error instanceof ApiError) return { status: error.status, reason: error.reason, message: error.message };
      throw error;
    }
    throw new Error('the server accepted it');
  };
  const configMap = (name: string, data: object = {}, metadata: object = {}) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, ...metadata },
    data,
  });
  const service = (name: string, spec: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { type: 'LoadBalancer', ports: [{ port: 80 }], ...spec },
  });
  const pool = (name: string, spec: object) => ({
    apiVersion: 'metallb.io/v1beta1',
    kind: 'IPAddressPool',
    metadata: { name },
    spec,
  });

  beforeAll(async () => {
    target = await open();
    await send('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  });
  afterAll(async () => {
    await send('DELETE', `/api/v1/namespaces/${namespace}`);
    await target.close();
  });

  describe('objects', () => {
    it('get a uid, a creation time and a resourceVersion that changes with every write', async () => {
      const created = await send('POST', `${core}/configmaps`, configMap('a', { x: '1' }));
      expect(created.metadata).toMatchObject({
        name: 'a',
        namespace,
        uid: expect.stringMatching(/./),
        creationTimestamp: expect.stringMatching(/Z$/),
      });
      const updated = await send('PUT', `${core}/configmaps/a`, { ...created, data: { x: '2' } });
      expect(updated.metadata.resourceVersion).not.toBe(created.metadata.resourceVersion);
      expect(updated.metadata.uid).toBe(created.metadata.uid);
      const same = await send('PUT', `${core}/configmaps/a`, updated);
      expect(same.metadata.resourceVersion).toBe(updated.metadata.resourceVersion);
    });

    it('are refused with the status and reason that clients know', async () => {
      await send('POST', `${core}/configmaps`, configMap('b'));
      expect(await refused(send('POST', `${core}/configmaps`, configMap('b')))).toMatchObject({
        status: 409,
        reason: 'AlreadyExists',
      });
      expect(await refused(send('GET', `${core}/configmaps/none`))).toMatchObject({ status: 404, reason: 'NotFound' });
      expect(await refused(send('POST', '/api/v1/namespaces/none/configmaps', configMap('c')))).toMatchObject({
        status: 404,
        reason: 'NotFound',
      });
      expect(await refused(send('POST', `${core}/configmaps`, configMap('Not_A_Name')))).toMatchObject({
        status: 422,
        reason: 'Invalid',
      });
      expect(await refused(send('POST', `${core}/configmaps`, { ...configMap('d'), kind: 'Secret' }))).toMatchObject({
        status: 400,
      });
      expect(await refused(send('GET', '/apis/nothing.example/v1/things'))).toMatchObject({ status: 404 });
    });

    it('cannot be overwritten by somebody who has not seen the last change', async () => {
      const old = await send('POST', `${core}/configmaps`, configMap('c', { x: '1' }));
      await send('PUT', `${core}/configmaps/c`, { ...old, data: { x: '2' } });
      expect(await refused(send('PUT', `${core}/configmaps/c`, { ...old, data: { x: '3' } }))).toMatchObject({
        status: 409,
        reason: 'Conflict',
      });
      const patch = { metadata: { resourceVersion: old.metadata.resourceVersion }, data: { x: '4' } };
      expect(await refused(send('PATCH', `${core}/configmaps/c`, patch, MERGE_PATCH))).toMatchObject({
        status: 409,
        reason: 'Conflict',
      });
      expect(await refused(send('DELETE', `${core}/configmaps/c`, { preconditions: { uid: 'other' } }))).toMatchObject({
        status: 409,
      });
    });

    it('get a name when they ask for one, and are not kept by a dry run', async () => {
      const named = await send('POST', `${core}/configmaps`, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { generateName: 'gen-' },
      });
      expect(named.metadata.name).toMatch(/^gen-[a-z0-9]{5}$/);
      await send('POST', `${core}/configmaps`, configMap('dry'), undefined, { dryRun: 'All' });
      expect(await refused(send('GET', `${core}/configmaps/dry`))).toMatchObject({ status: 404 });
    });

    it('of a path that cannot be decoded are a bad request', async () => {
      for (const path of ['/api/v1/%zz', '/api/v1/namespaces/%/configmaps', '/%zz', '/apis/%zz/v1/things'])
        expect([path, (await refused(send('GET', path))).status]).toEqual([path, 400]);
    });

    it.each(['constructor', '__proto__', 'toString'])('may have a key %s', async (key) => {
      const name = `key-${key
        .toLowerCase()
        .replaceAll('_', '-')
        .replace(/^-+|-+$/g, '')}`;
      const path = `${core}/configmaps/${name}`;
      const data = (object: Json) => Object.entries(object.data ?? {});
      const named = (value: string | null) => JSON.parse(JSON.stringify({ data: { KEY: value } }).replace('KEY', key));
      await send('POST', `${core}/configmaps`, { ...configMap(name), ...named('1') });
      expect(data(await send('GET', path))).toEqual([[key, '1']]);
      expect(data(await send('PATCH', path, named('2'), MERGE_PATCH))).toEqual([[key, '2']]);
      expect(data(await send('PATCH', path, named('3'), 'application/strategic-merge-patch+json'))).toEqual([
        [key, '3'],
      ]);
      const replace = [{ op: 'replace', path: `/data/${key}`, value: '4' }];
      expect(data(await send('PATCH', path, replace, 'application/json-patch+json'))).toEqual([[key, '4']]);
      const apply = { ...configMap(name), ...named('5') };
      const applied = await send('PATCH', path, apply, 'application/apply-patch+yaml', {
        fieldManager: 'm',
        force: 'true',
      });
      expect(data(applied)).toEqual([[key, '5']]);
      expect(data(await send('PATCH', path, named(null), MERGE_PATCH))).toEqual([]);
      expect((await refused(send('PATCH', path, replace, 'application/json-patch+json'))).status).toBe(422);
    });

    it.each([['spec.constructor'], ['spec.toString'], ['spec.__proto__']])('do not have a field %s', async (field) => {
      const made = JSON.stringify(pool('odd', { addresses: ['203.0.113.12/30'], FIELD: 'x' }));
      const body = JSON.parse(made.replace('FIELD', field.slice('spec.'.length)));
      const answer = await refused(
        send('POST', `${metallb}/ipaddresspools`, body, undefined, { fieldValidation: 'Strict' }),
      );
      expect(answer).toMatchObject({ status: 400, message: expect.stringContaining(`unknown field "${field}"`) });
    });

    it('wait for their finalizers', async () => {
      await send('POST', `${core}/configmaps`, configMap('f', {}, { finalizers: ['example.com/wait'] }));
      await send('DELETE', `${core}/configmaps/f`);
      expect((await send('GET', `${core}/configmaps/f`)).metadata.deletionTimestamp).toBeDefined();
      await send('PATCH', `${core}/configmaps/f`, { metadata: { finalizers: null } }, MERGE_PATCH);
      expect(await refused(send('GET', `${core}/configmaps/f`))).toMatchObject({ status: 404 });
    });
  });

  describe('dry runs', () => {
    const DRY = { dryRun: 'All' };
    const APPLY = 'application/apply-patch+yaml';
    const path = `${core}/services/dried`;
    const change = { metadata: { labels: { app: 'changed' } } };
    const status = { status: { loadBalancer: { ingress: [{ ip: '192.0.2.9' }] } } };
    let stored: Json;
    beforeAll(async () => {
      const body = service('dried');
      stored = await send('POST', `${core}/services`, {
        ...body,
        metadata: { ...body.metadata, labels: { app: 'dry' } },
      });
    });

    it.each<[string, () => Promise<Json>, (answer: Json) => unknown, unknown]>([
      [
        'a create',
        () => send('POST', `${core}/services`, service('undone'), undefined, DRY),
        (answer) => answer.metadata.name,
        'undone',
      ],
      [
        'an update',
        () => send('PUT', path, { ...stored, metadata: { ...stored.metadata, ...change.metadata } }, undefined, DRY),
        (answer) => answer.metadata.labels.app,
        'changed',
      ],
      [
        'a patch',
        () => send('PATCH', path, change, MERGE_PATCH, DRY),
        (answer) => answer.metadata.labels.app,
        'changed',
      ],
      [
        'an apply',
        () =>
          send('PATCH', path, { apiVersion: 'v1', kind: 'Service', ...change }, APPLY, {
            ...DRY,
            fieldManager: 'dry',
            force: 'true',
          }),
        (answer) => answer.metadata.labels.app,
        'changed',
      ],
      [
        'an apply that creates',
        () => send('PATCH', `${core}/configmaps/undone`, configMap('undone'), APPLY, { ...DRY, fieldManager: 'dry' }),
        (answer) => answer.metadata.name,
        'undone',
      ],
      [
        'a write to the status',
        () => send('PATCH', `${path}/status`, status, MERGE_PATCH, DRY),
        (answer) => answer.status.loadBalancer.ingress[0].ip,
        '192.0.2.9',
      ],
      ['a delete', () => send('DELETE', path, undefined, undefined, DRY), () => undefined, undefined],
      [
        'a delete with options in its body',
        () => send('DELETE', path, { dryRun: ['All'] }),
        () => undefined,
        undefined,
      ],
      [
        'a delete of a collection',
        () => send('DELETE', `${core}/services`, undefined, undefined, { ...DRY, labelSelector: 'app=dry' }),
        (answer) => answer.items?.map((item: Json) => item.metadata.name),
        ['dried'],
      ],
      [
        'a delete of a collection with options in its body',
        () => send('DELETE', `${core}/services`, { dryRun: ['All'] }, undefined, { labelSelector: 'app=dry' }),
        (answer) => answer.items?.map((item: Json) => item.metadata.name),
        ['dried'],
      ],
    ])('of %s answer as the write would, and change nothing', async (_, write, look, expected) => {
      expect(look(await write())).toEqual(expected);
      expect(await send('GET', path)).toEqual(stored);
      for (const undone of ['services', 'configmaps'])
        expect((await refused(send('GET', `${core}/${undone}/undone`))).status).toBe(404);
    });

    it('count the generation that the write would lead to', async () => {
      const pools = `${metallb}/ipaddresspools`;
      const made = await send('POST', pools, pool('dried', { addresses: ['203.0.113.4/32'] }));
      const dry = await send('PATCH', `${pools}/dried`, { spec: { autoAssign: false } }, MERGE_PATCH, DRY);
      expect([made.metadata.generation, dry.metadata.generation]).toEqual([1, 2]);
      expect((await send('GET', `${pools}/dried`)).metadata.generation).toBe(1);
    });
  });

  describe('options', () => {
    it.each<[string, 'POST' | 'PUT' | 'PATCH' | 'DELETE', string, Record<string, string>]>([
      ['another dryRun on a create', 'POST', '', { dryRun: 'Some' }],
      ['another dryRun on an update', 'PUT', '/options', { dryRun: 'Some' }],
      ['another dryRun on a patch', 'PATCH', '/options', { dryRun: 'true' }],
      ['another dryRun on a delete', 'DELETE', '/options', { dryRun: 'Some' }],
      ['another dryRun on a collection', 'DELETE', '', { dryRun: 'Some' }],
      ['another fieldValidation', 'POST', '', { fieldValidation: 'Lax' }],
      ['another propagationPolicy', 'DELETE', '/options', { propagationPolicy: 'Cascade' }],
      ['another propagationPolicy on a collection', 'DELETE', '', { propagationPolicy: 'Cascade' }],
      ['force where nothing is applied', 'PATCH', '/options', { force: 'true' }],
    ])('are refused with %s', async (_, method, name, query) => {
      const path = `${core}/configmaps`;
      const known = await send('GET', `${path}/options`).catch(() => send('POST', path, configMap('options')));
      const body = method === 'DELETE' ? undefined : method === 'POST' ? configMap('more') : known;
      const type = method === 'PATCH' ? MERGE_PATCH : undefined;
      expect(await refused(send(method, `${path}${name}`, body, type, query))).toMatchObject({
        status: 422,
        reason: 'Invalid',
        message: expect.stringContaining(Object.keys(query)[0]!),
      });
      expect(await send('GET', `${path}/options`)).toEqual(known);
    });

    it('are refused without a manager on an apply, and with a body that is no DeleteOptions on a delete', async () => {
      const path = `${core}/configmaps/options`;
      await send('POST', `${core}/configmaps`, configMap('options')).catch(() => {});
      expect(
        (await refused(send('PATCH', path, configMap('options'), 'application/apply-patch+yaml', {}))).status,
      ).toBe(422);
      // Servers differ in the code for a body that they cannot decode.
      expect((await refused(send('DELETE', path, { dryRun: 'All' }))).status).toBeGreaterThanOrEqual(400);
      expect((await refused(send('DELETE', path, { gracePeriodSeconds: 'soon' }))).status).toBeGreaterThanOrEqual(400);
      await send('GET', path);
    });

    it('select what a delete of a collection takes, and hold for each of its objects', async () => {
      const path = `${core}/configmaps`;
      for (const [name, wave] of [
        ['sel-1', 'one'],
        ['sel-2', 'one'],
        ['sel-3', 'two'],
      ] as const)
        await send('POST', path, configMap(name, {}, { labels: { wave } }));
      const left = async () =>
        (await send('GET', path, undefined, undefined, { labelSelector: 'wave' })).items.map(
          (item: Json) => item.metadata.name,
        );
      const other = { preconditions: { uid: '00000000-0000-0000-0000-000000000000' } };
      expect((await refused(send('DELETE', path, other, undefined, { labelSelector: 'wave=one' }))).status).toBe(409);
      expect(await left()).toEqual(['sel-1', 'sel-2', 'sel-3']);
      await send('DELETE', path, { propagationPolicy: 'Background', gracePeriodSeconds: 0 }, undefined, {
        labelSelector: 'wave=one',
      });
      expect(await left()).toEqual(['sel-3']);
      await send('DELETE', path, undefined, undefined, { fieldSelector: 'metadata.name=sel-3' });
      expect(await left()).toEqual([]);
    });

    it('leave the dependents of an object alone that is deleted without them', async () => {
      const path = `${core}/configmaps`;
      const { metadata } = await send('POST', path, configMap('owner'));
      const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: metadata.uid }];
      await send('POST', path, configMap('dependent', {}, { ownerReferences }));
      await send('DELETE', `${path}/owner`, { propagationPolicy: 'Orphan' });
      expect((await send('GET', `${path}/dependent`)).metadata.name).toBe('dependent');
    });

    it('do not make a status of an object that is not there, nor delete one by its status', async () => {
      const made = await send('POST', `${core}/services`, service('whole'));
      expect((await refused(send('DELETE', `${core}/services/whole/status`))).status).toBe(405);
      expect((await send('GET', `${core}/services/whole`)).metadata.uid).toBe(made.metadata.uid);
      const absent = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'absent' } };
      const options = { fieldManager: 'status', force: 'true' };
      const write = send('PATCH', `${core}/services/absent/status`, absent, 'application/apply-patch+yaml', options);
      // kube-apiserver first finds fault with the Service that this would make.
      expect([404, 422]).toContain((await refused(write)).status);
      expect((await refused(send('GET', `${core}/services/absent`))).status).toBe(404);
    });
  });

  describe('patches', () => {
    const JSON_PATCH = 'application/json-patch+json';
    const STRATEGIC = 'application/strategic-merge-patch+json';

    it('by RFC 7386 and RFC 6902', async () => {
      await send('POST', `${core}/configmaps`, configMap('p', { a: '1', b: '2' }));
      expect((await send('PATCH', `${core}/configmaps/p`, { data: { a: null, c: '3' } }, MERGE_PATCH)).data).toEqual({
        b: '2',
        c: '3',
      });
      const operations = [
        { op: 'test', path: '/data/b', value: '2' },
        { op: 'replace', path: '/data/b', value: '9' },
      ];
      expect((await send('PATCH', `${core}/configmaps/p`, operations, JSON_PATCH)).data).toEqual({ b: '9', c: '3' });
      expect(
        (await refused(send('PATCH', `${core}/configmaps/p`, operations, JSON_PATCH))).status,
      ).toBeGreaterThanOrEqual(409);
    });

    it('by the strategic rules for lists, with their directives', async () => {
      await send(
        'POST',
        `${core}/services`,
        service('strategic', {
          type: 'ClusterIP',
          ports: [
            { name: 'http', port: 80 },
            { name: 'https', port: 443 },
          ],
        }),
      );
      const ports = async (patch: object) =>
        (await send('PATCH', `${core}/services/strategic`, { spec: patch }, STRATEGIC)).spec.ports.map(
          (p: Json) => `${p.name}:${p.port}:${p.targetPort}`,
        );
      expect(await ports({ ports: [{ port: 443, targetPort: 8443 }] })).toEqual(['http:80:80', 'https:443:8443']);
      expect(
        await ports({
          ports: [{ name: 'dns', port: 53 }],
          '$setElementOrder/ports': [{ port: 53 }, { port: 80 }, { port: 443 }],
        }),
      ).toEqual(['dns:53:53', 'http:80:80', 'https:443:8443']);
      expect(await ports({ ports: [{ $patch: 'delete', port: 53 }] })).toEqual(['http:80:80', 'https:443:8443']);
      expect(await ports({ ports: [{ $patch: 'replace' }, { name: 'only', port: 1 }] })).toEqual(['only:1:1']);
    });

    it('are refused in a format that does not fit', async () => {
      await send('POST', `${metallb}/ipaddresspools`, pool('strategic', { addresses: ['203.0.113.128/32'] }));
      expect(
        (await refused(send('PATCH', `${metallb}/ipaddresspools/strategic`, { spec: {} }, STRATEGIC))).status,
      ).toBe(415);
      expect((await refused(send('PATCH', `${core}/configmaps/a`, {}, 'application/x-unknown'))).status).toBe(415);
    });
  });

  describe('server-side apply', () => {
    const apply = (path: string, body: object, manager: string, force = false) =>
      send('PATCH', path, body, 'application/apply-patch+yaml', { fieldManager: manager, force: String(force) });

    it('creates, takes back what an owner no longer mentions, and leaves the fields of others alone', async () => {
      const path = `${core}/configmaps/ssa`;
      await apply(path, configMap('ssa', { mine: '1', alsoMine: '2' }), 'one');
      await apply(path, configMap('ssa', { theirs: '3' }), 'two');
      expect((await apply(path, configMap('ssa', { mine: '1' }), 'one')).data).toEqual({ mine: '1', theirs: '3' });
    });

    it('finds conflicts and lets the one who insists win', async () => {
      const path = `${core}/configmaps/clash`;
      await apply(path, configMap('clash', { x: '1' }), 'one');
      expect(await refused(apply(path, configMap('clash', { x: '2' }), 'two'))).toMatchObject({
        status: 409,
        message: expect.stringContaining('conflict with "one"'),
      });
      expect((await apply(path, configMap('clash', { x: '2' }), 'two', true)).data).toEqual({ x: '2' });
    });

    it('changes nothing when it is repeated', async () => {
      const path = `${core}/configmaps/again`;
      const first = await apply(path, configMap('again', { x: '1' }), 'one');
      expect((await apply(path, configMap('again', { x: '1' }), 'one')).metadata.resourceVersion).toBe(
        first.metadata.resourceVersion,
      );
    });
  });

  describe('lists', () => {
    const names = (list: Json) => list.items.map((item: Json) => item.metadata.name);

    it('are selected by labels and fields', async () => {
      for (const [name, labels] of [
        ['l1', { app: 'x', tier: 'a' }],
        ['l2', { app: 'x', tier: 'b' }],
        ['l3', { app: 'y' }],
      ] as const) {
        await send('POST', `${core}/configmaps`, configMap(name, {}, { labels }));
      }
      const by = async (labelSelector: string) =>
        names(await send('GET', `${core}/configmaps`, undefined, undefined, { labelSelector }));
      expect(await by('app=x')).toEqual(['l1', 'l2']);
      expect(await by('app=x,tier!=a')).toEqual(['l2']);
      expect(await by('tier in (a, c)')).toEqual(['l1']);
      expect(await by('app,!tier')).toEqual(['l3']);
      expect(await by('app,constructor')).toEqual([]);
      expect(await by('app=y,!constructor,toString!=a')).toEqual(['l3']);
      expect(
        names(await send('GET', `${core}/configmaps`, undefined, undefined, { fieldSelector: 'metadata.name=l3' })),
      ).toEqual(['l3']);
      for (const wrong of [
        'a b c',
        'a in b',
        'a,,b',
        'a=b=c',
        '=a',
        '__proto__',
        `a=${'x'.repeat(64)}`,
        ','.repeat(5000),
      ])
        expect([wrong, (await refused(by(wrong))).status]).toEqual([wrong, 400]);
    });

    it('come in pages of one snapshot', async () => {
      for (let i = 0; i < 5; i++)
        await send('POST', `${core}/configmaps`, configMap(`page-${i}`, {}, { labels: { page: 'yes' } }));
      const query = { labelSelector: 'page=yes', limit: '2' };
      const first = await send('GET', `${core}/configmaps`, undefined, undefined, query);
      await send('POST', `${core}/configmaps`, configMap('page-9', {}, { labels: { page: 'yes' } }));
      const second = await send('GET', `${core}/configmaps`, undefined, undefined, {
        ...query,
        continue: first.metadata.continue,
      });
      const third = await send('GET', `${core}/configmaps`, undefined, undefined, {
        ...query,
        continue: second.metadata.continue,
      });
      expect([first, second, third].flatMap(names)).toEqual(['page-0', 'page-1', 'page-2', 'page-3', 'page-4']);
      expect(third.metadata.continue ?? '').toBe('');
      expect(third.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    });
  });

  describe('watches', () => {
    /** Opens a watch and collects what it says. */
    const watch = async (query: Record<string, string>) => {
      const seen: string[] = [];
      const end = new AbortController();
      let failure: unknown;
      let opened = false;
      const done = target.client
        .watch(
          { path: `${core}/configmaps`, query: { watch: 'true', ...query }, signal: end.signal },
          () => (opened = true),
          (type, object) => seen.push(`${type} ${object.metadata?.name ?? (object as Json).code}`),
        )
        .catch((error) => (failure = error));
      await until('the watch opens', () => opened || failure !== undefined);
      const close = async () => {
        end.abort();
        await done;
      };
      return { seen, close };
    };
    const version = async () => (await send('GET', `${core}/configmaps`)).metadata.resourceVersion as string;

    it('tell every change from a version on, past ones too', async () => {
      const since = await version();
      const created = await send('POST', `${core}/configmaps`, configMap('w'));
      const { seen, close } = await watch({ resourceVersion: since });
      await send('PUT', `${core}/configmaps/w`, { ...created, data: { x: '1' } });
      await send('DELETE', `${core}/configmaps/w`);
      await until('three events', () => seen.length >= 3);
      await close();
      expect(seen).toEqual(['ADDED w', 'MODIFIED w', 'DELETED w']);
    });

    it('show an object come and go as its labels do', async () => {
      const { seen, close } = await watch({ resourceVersion: await version(), labelSelector: 'seen=yes' });
      await send('POST', `${core}/configmaps`, configMap('lw'));
      await send('PATCH', `${core}/configmaps/lw`, { metadata: { labels: { seen: 'yes' } } }, MERGE_PATCH);
      await send('PATCH', `${core}/configmaps/lw`, { metadata: { labels: { seen: null } } }, MERGE_PATCH);
      await until('two events', () => seen.length >= 2);
      await close();
      expect(seen).toEqual(['ADDED lw', 'DELETED lw']);
    });

    it('carry bookmarks for those who ask', async ({ skip }) => {
      if (target.bookmarkWithin > 10_000) skip('this server sends bookmarks only every minute');
      const { seen, close } = await watch({ resourceVersion: await version(), allowWatchBookmarks: 'true' });
      await until('a bookmark', () => seen.some((text) => text.startsWith('BOOKMARK')), {
        patience: target.bookmarkWithin,
      });
      await close();
    });

    it('answer 410 when what they ask for is forgotten', async ({ skip }) => {
      if (target.compact === undefined) skip('the history of this server cannot be compacted from here');
      const since = await version();
      await send('POST', `${core}/configmaps`, configMap('compacted'));
      target.compact?.();
      const { seen, close } = await watch({ resourceVersion: since });
      await until('the answer', () => seen.length > 0);
      await close();
      expect(seen).toEqual(['ERROR 410']);
    });

    it('feed our reflector through lost connections and lost history', async ({ skip }) => {
      if (target.compact === undefined || target.reset === undefined)
        skip('connections and history of this server cannot be touched from here');
      const known = new Map<string, string>();
      const troubles: string[] = [];
      const onChange = (change: ReflectedChange) => {
        if (change.kind === 'replaced') {
          known.clear();
          for (const object of change.objects) known.set(objectKey(object), object.metadata.resourceVersion!);
        } else if (change.kind === 'applied')
          known.set(objectKey(change.object), change.object.metadata.resourceVersion!);
        else known.delete(objectKey(change.object));
      };
      const create = (name: string) =>
        until(`${name} is created`, () =>
          send('POST', `${core}/services`, service(name)).catch((error) => error.status === 409),
        );
      const reflector = new Reflector({
        client: target.client,
        resource: 'services',
        namespace,
        onChange,
        onTrouble: (what) => void troubles.push(what),
      });
      reflector.start();
      await send('POST', `${core}/services`, service('r1'));
      await until('the first', () => known.has(`${namespace}/r1`));
      await target.reset?.();
      await create('r2');
      await until('the second, after a reset', () => known.has(`${namespace}/r2`));
      expect(troubles).not.toContain('expired');
      await send('DELETE', `${core}/services/r1`);
      await until('the deletion', () => !known.has(`${namespace}/r1`));
      await target.reset?.();
      await create('r3');
      target.compact?.();
      await target.reset?.();
      await until('the third, after 410', () => known.has(`${namespace}/r3`));
      reflector.stop();
      const list = await send('GET', `${core}/services`);
      expect(new Map(list.items.map((item: Json) => [objectKey(item), item.metadata.resourceVersion]))).toEqual(known);
    });
  });

  describe('Services', () => {
    it('get cluster IPs and node ports, no two the same', async () => {
      const made = await Promise.all(['s1', 's2', 's3'].map((name) => send('POST', `${core}/services`, service(name))));
      expect(new Set(made.map(({ spec }) => spec.clusterIP)).size).toBe(3);
      expect(new Set(made.map(({ spec }) => spec.ports[0].nodePort)).size).toBe(3);
      expect(made[0].spec).toMatchObject({
        sessionAffinity: 'None',
        externalTrafficPolicy: 'Cluster',
        internalTrafficPolicy: 'Cluster',
        ipFamilyPolicy: 'SingleStack',
        allocateLoadBalancerNodePorts: true,
      });
      expect(made[0].spec.ports[0]).toMatchObject({ protocol: 'TCP', targetPort: 80 });
    });

    it('keep node port and cluster IP over changes, and give the node port up with the type', async () => {
      const made = await send('POST', `${core}/services`, service('keep'));
      const labelled = await send('PATCH', `${core}/services/keep`, { metadata: { labels: { a: 'b' } } }, MERGE_PATCH);
      expect(labelled.spec).toEqual(made.spec);
      const internal = await send('PATCH', `${core}/services/keep`, { spec: { type: 'ClusterIP' } }, MERGE_PATCH);
      expect([internal.spec.clusterIP, internal.spec.ports[0].nodePort]).toEqual([made.spec.clusterIP, undefined]);
    });

    it.each<[string, object, string]>([
      ['without ports', { ports: [] }, 'spec.ports'],
      ['with a port out of range', { ports: [{ port: 70000 }] }, 'spec.ports[0].port'],
      ['with two unnamed ports', { ports: [{ port: 80 }, { port: 81 }] }, 'spec.ports[0].name'],
      [
        'with one port twice',
        {
          ports: [
            { name: 'a', port: 80 },
            { name: 'b', port: 80 },
          ],
        },
        'spec.ports[1]',
      ],
      ['with a node port out of range', { ports: [{ port: 80, nodePort: 80 }] }, 'spec.ports[0].nodePort'],
      ['with a cluster IP out of range', { clusterIP: '192.0.2.1' }, 'spec.clusterIP'],
      ['of an unknown type', { type: 'Balancer' }, 'spec.type'],
    ])('are refused %s', async (_, spec, field) => {
      const answer = await refused(send('POST', `${core}/services`, service('bad', spec)));
      expect(answer.status).toBe(422);
      expect(answer.message).toContain(field);
    });

    it('keep spec and status apart', async () => {
      const made = await send('POST', `${core}/services`, {
        ...service('status'),
        status: { loadBalancer: { ingress: [{ ip: '192.0.2.9' }] } },
      });
      expect(made.status).toEqual({ loadBalancer: {} });
      const body = {
        metadata: { annotations: { note: 'kept' } },
        spec: { sessionAffinity: 'ClientIP' },
        status: { loadBalancer: { ingress: [{ ip: '192.0.2.9' }] } },
      };
      const updated = await send('PATCH', `${core}/services/status/status`, body, MERGE_PATCH);
      expect([
        updated.spec.sessionAffinity,
        updated.status.loadBalancer.ingress[0].ip,
        updated.metadata.annotations.note,
      ]).toEqual(['None', '192.0.2.9', 'kept']);
      const again = await send(
        'PATCH',
        `${core}/services/status`,
        { status: null, metadata: { labels: { a: 'b' } } },
        MERGE_PATCH,
      );
      expect(again.status.loadBalancer.ingress[0].ip).toBe('192.0.2.9');
    });
  });

  describe('Events', () => {
    it('are one Event with a count when the same is told again, and two when it differs', async () => {
      const recorder = new EventRecorder({
        client: target.client,
        component: 'test-component',
        host: 'test-host',
        onTrouble: (message) => {
          throw new Error(message);
        },
      });
      const told = { apiVersion: 'v1', kind: 'Service', namespace, name: 'told', uid: 'uid-1' };
      for (const message of ['first', 'first', 'second', 'first'])
        recorder.record(told, { reason: 'IPAllocated', message });
      await new Promise<void>((resolve) => recorder.flush(resolve));
      const query = { fieldSelector: 'involvedObject.name=told' };
      const { items } = await send('GET', `${core}/events`, undefined, undefined, query);
      expect(items.map((event: Json) => `${event.message} ${event.count} ${event.type}`).sort()).toEqual([
        'first 3 Normal',
        'second 1 Normal',
      ]);
    });
  });

  describe('custom resources', () => {
    it('get the defaults of their schema and a generation that counts changes of the spec', async () => {
      const made = await send('POST', `${metallb}/ipaddresspools`, pool('crd', { addresses: ['203.0.113.0/30'] }));
      expect(made.spec).toEqual({ addresses: ['203.0.113.0/30'], autoAssign: true, avoidBuggyIPs: false });
      const changed = await send(
        'PATCH',
        `${metallb}/ipaddresspools/crd`,
        { spec: { autoAssign: false } },
        MERGE_PATCH,
      );
      const labelled = await send(
        'PATCH',
        `${metallb}/ipaddresspools/crd`,
        { metadata: { labels: { a: 'b' } } },
        MERGE_PATCH,
      );
      expect([made, changed, labelled].map(({ metadata }) => metadata.generation)).toEqual([1, 2, 2]);
    });

    it.each<[string, string, object, string]>([
      ['a wrong type', 'ipaddresspools', pool('bad', { addresses: '203.0.113.0/30' }), 'spec.addresses'],
      ['a missing field', 'ipaddresspools', pool('bad', {}), 'spec.addresses'],
      [
        'a number out of bounds',
        'bfdprofiles',
        {
          apiVersion: 'metallb.io/v1beta1',
          kind: 'BFDProfile',
          metadata: { name: 'bad' },
          spec: { receiveInterval: 5 },
        },
        'spec.receiveInterval',
      ],
      [
        'a broken CEL rule',
        'bgpadvertisements',
        {
          apiVersion: 'metallb.io/v1beta1',
          kind: 'BGPAdvertisement',
          metadata: { name: 'bad' },
          spec: { aggregationLength: 24, serviceSelectors: [{}] },
        },
        'aggregationLength',
      ],
    ])('are refused with %s', async (_, plural, body, field) => {
      const answer = await refused(send('POST', `${metallb}/${plural}`, body));
      expect([answer.status, answer.reason]).toEqual([422, 'Invalid']);
      expect(answer.message).toContain(field);
    });

    it('hold to rules that compare old and new', async () => {
      const path = `/apis/metallb.io/v1beta2/namespaces/${namespace}/bgppeers`;
      const peer = {
        apiVersion: 'metallb.io/v1beta2',
        kind: 'BGPPeer',
        metadata: { name: 'peer' },
        spec: { myASN: 64500, peerASN: 64501, peerAddress: '192.0.2.1', enableGracefulRestart: true },
      };
      expect((await send('POST', path, peer)).spec.peerPort).toBe(179);
      expect(
        await refused(send('PATCH', `${path}/peer`, { spec: { enableGracefulRestart: false } }, MERGE_PATCH)),
      ).toMatchObject({ status: 422 });
    });

    it('have patterns of RE2, tried in time that grows with the text', async () => {
      const group = `${namespace}.example`;
      const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
      const definition = (pattern: string) => {
        const spec = { type: 'object', properties: { text: { type: 'string', pattern } } };
        const openAPIV3Schema = { type: 'object', properties: { spec } };
        return {
          apiVersion: 'apiextensions.k8s.io/v1',
          kind: 'CustomResourceDefinition',
          metadata: { name: `slows.${group}` },
          spec: {
            group,
            scope: 'Cluster',
            names: { plural: 'slows', singular: 'slow', kind: 'Slow', listKind: 'SlowList' },
            versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }],
          },
        };
      };
      for (const wrong of ['(?=a)', '(', 'a**'])
        expect((await refused(send('POST', definitions, definition(wrong)))).message).toContain('pattern');
      await send('POST', definitions, definition('^(a+)+$'));
      const path = `/apis/${group}/v1/slows`;
      const slow = (name: string, text: string) => ({
        apiVersion: `${group}/v1`,
        kind: 'Slow',
        metadata: { name },
        spec: { text },
      });
      await until('the kind is served', () => send('POST', path, slow('good', 'aaa')).catch(() => undefined));
      const answer = await refused(send('POST', path, slow('bad', `${'a'.repeat(60)}b`)));
      expect(answer).toMatchObject({ status: 422, message: expect.stringContaining('spec.text') });
      await send('DELETE', `${definitions}/slows.${group}`);
    });

    it('refuse, drop with a warning, or drop unknown fields, as the client wishes', async () => {
      const body = pool('unknown', { addresses: ['203.0.113.8/30'], autoAsign: false });
      expect(
        (await refused(send('POST', `${metallb}/ipaddresspools`, body, undefined, { fieldValidation: 'Strict' })))
          .message,
      ).toContain('unknown field "spec.autoAsign"');
      const dropped = await send('POST', `${metallb}/ipaddresspools`, body, undefined, { fieldValidation: 'Ignore' });
      expect(dropped.spec).not.toHaveProperty('autoAsign');
    });
  });
}
