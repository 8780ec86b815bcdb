import { describe, expect, it } from 'vitest';
import type { ApiObject } from '../storage/store.ts';
import { applyConfiguration } from './apply.ts';

const configMap = (data: object): ApiObject => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data });
const service = (ports: object[]): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'x' },
  spec: { ports },
});
const apply = (
  current: ApiObject,
  applied: ApiObject,
  manager: string,
  { force = false, time = 'then', subresource }: { force?: boolean; time?: string; subresource?: string } = {},
) => applyConfiguration(current, applied, { manager, force, time, subresource });
const owners = ({ metadata }: ApiObject) =>
  Object.fromEntries(
    (metadata.managedFields as { manager: string; fieldsV1: object }[]).map((e) => [e.manager, e.fieldsV1]),
  );

describe('server-side apply', () => {
  it('keeps what others wrote and owns what it wrote itself', () => {
    const result = apply(configMap({ other: '0' }), configMap({ a: '1' }), 'me');
    expect(result.data).toEqual({ other: '0', a: '1' });
    expect(owners(result)).toEqual({ me: { 'f:data': { 'f:a': {} } } });
  });

  it('removes what its owner no longer mentions', () => {
    const first = apply(configMap({ other: '0' }), configMap({ a: '1', b: '2' }), 'me');
    const second = apply(first, configMap({ b: '2' }), 'me');
    expect(second.data).toEqual({ other: '0', b: '2' });
    expect(owners(second)).toEqual({ me: { 'f:data': { 'f:b': {} } } });
  });

  it('keeps what its owner no longer mentions when somebody else owns it too', () => {
    const first = apply(apply(configMap({}), configMap({ a: '1' }), 'me'), configMap({ a: '1' }), 'you');
    expect(apply(first, configMap({}), 'me').data).toEqual({ a: '1' });
  });

  it('lets two own a field that they agree about', () => {
    const result = apply(apply(configMap({}), configMap({ a: '1' }), 'me'), configMap({ a: '1' }), 'you');
    expect(Object.keys(owners(result))).toEqual(['me', 'you']);
  });

  it('refuses what another owner wants otherwise, and names every such field', () => {
    const first = apply(configMap({}), configMap({ a: '1', b: '2', c: '3' }), 'me');
    expect(() => apply(first, configMap({ a: '9', b: '9', c: '3' }), 'you')).toThrow(
      expect.objectContaining({
        code: 409,
        message: 'Apply failed with 2 conflicts: conflict with "me": .data.a, conflict with "me": .data.b',
      }),
    );
  });

  it('takes by force what another owner wants otherwise, and nothing else of it', () => {
    const first = apply(configMap({}), configMap({ a: '1', b: '2' }), 'me');
    const second = apply(first, configMap({ a: '9' }), 'you', { force: true });
    expect(second.data).toEqual({ a: '9', b: '2' });
    expect(owners(second)).toEqual({ me: { 'f:data': { 'f:b': {} } }, you: { 'f:data': { 'f:a': {} } } });
  });

  it('changes nothing when the same is applied again later', () => {
    const first = apply(configMap({}), configMap({ a: '1' }), 'me');
    expect(apply(first, configMap({ a: '1' }), 'me', { time: 'later' })).toEqual(first);
  });

  it('tells one subresource of a manager from another', () => {
    const first = apply(configMap({}), configMap({ a: '1' }), 'me');
    const second = apply(first, configMap({ b: '2' }), 'me', { subresource: 'status' });
    expect(second.data).toEqual({ a: '1', b: '2' });
    expect(second.metadata.managedFields).toHaveLength(2);
  });

  it('owns items of a list that is a map one by one', () => {
    const first = apply(service([{ port: 80, name: 'theirs' }]), service([{ port: 443, name: 'mine' }]), 'me');
    expect(first.spec.ports).toEqual([
      { port: 80, name: 'theirs' },
      { port: 443, name: 'mine' },
    ]);
    expect(owners(first)).toEqual({
      me: { 'f:spec': { 'f:ports': { 'k:{"port":443}': { 'f:name': {}, 'f:port': {} } } } },
    });
    expect(() => apply(first, service([{ port: 443, name: 'yours' }]), 'you')).toThrow(
      '.spec.ports[{"port":443}].name',
    );
  });
});
