import { describe, expect, it } from 'vitest';
import { configured } from '../../../test/builders.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { CONFIG_RESOURCES, type ConfigResource } from '../config/resolve.ts';
import { ORIGIN_LABEL } from './config-map.ts';
import { type ConfigDocument, type ConfigMapInput, configMapMachine, initialConfigMap } from './config-map-follower.ts';

const NAMESPACE = 'metallb-system';
const CONFIG_MAP = { metadata: { name: 'config', namespace: NAMESPACE, uid: 'u' } };
const document = (...names: string[]): ConfigDocument => ({
  kind: 'read',
  value: {
    'address-pools': names.map((name, i) => ({ name, protocol: 'layer2', addresses: [`192.0.2.${16 * i}/28`] })),
  },
});
const ours = (name: string) => configured(name, {}, { labels: { [ORIGIN_LABEL]: 'config' } });

/** A follower that knows what there is; `feed` returns what it says, in short. */
function follower(present: Partial<Record<ConfigResource, readonly KubernetesObject[]>> = {}) {
  let state = initialConfigMap('config', NAMESPACE);
  const feed = (input: ConfigMapInput): string[] => {
    const { next, outputs } = configMapMachine.step(state, input, 0);
    state = next;
    return outputs.map((output) => {
      if (output.kind === 'set')
        return `${output.desired === undefined ? 'drop' : 'want'} ${output.resource} ${output.name}`;
      if (output.kind === 'problems') return `${output.problems.length} problems`;
      return output.kind === 'emit-event' ? output.note.reason : output.kind;
    });
  };
  const list = () =>
    CONFIG_RESOURCES.flatMap((resource) => feed({ kind: 'replaced', resource, objects: present[resource] ?? [] }));
  const say = (said: ConfigDocument) => feed({ kind: 'config-map', configMap: CONFIG_MAP, document: said });
  return { feed, list, say };
}

describe('a ConfigMap that is followed', () => {
  it('says nothing before it is known what there is', () => {
    const f = follower();
    expect(f.say(document('a'))).toEqual([]);
    expect(f.list()).toEqual([
      '0 problems',
      'ConfigurationConverted',
      'want ipaddresspools a',
      'want l2advertisements l2advertisement1',
    ]);
  });

  it('drops what it says no longer: what an earlier life has made, and what has not come into being yet', () => {
    const f = follower({ ipaddresspools: [ours('old')] });
    f.list();
    expect(f.say(document('a', 'b'))).toContain('drop ipaddresspools old');
    const changed = f.say(document('b'));
    expect(changed).toContain('drop ipaddresspools a');
    expect(changed).not.toContain('drop ipaddresspools b');
  });

  it.each<[string, ConfigDocument]>([
    ['it is no YAML', { kind: 'fault', fault: 'a tab' }],
    ['its key is not there', { kind: 'absent' }],
    ['it is at fault', { kind: 'read', value: { 'address-pools': [{ name: 'a', addresses: ['192.0.2.0/28'] }] } }],
  ])('changes nothing when %s', (_, bad) => {
    const f = follower({ ipaddresspools: [ours('old')] });
    f.list();
    f.say(document('a'));
    expect(f.say(bad)).toEqual(['1 problems', 'InvalidConfiguration']);
    expect(f.say(bad)).toEqual(['1 problems']);
  });

  it('changes nothing when it is deleted, and says so', () => {
    const f = follower();
    f.list();
    f.say(document('a'));
    expect(f.feed({ kind: 'config-map-gone' })).toEqual(['config-map-missing']);
  });

  it('takes a name as soon as its holder has gone, and leaves it to whoever takes it', () => {
    const f = follower({ ipaddresspools: [configured('a')] });
    f.list();
    expect(f.say(document('a'))).not.toContain('want ipaddresspools a');
    const change = (kind: 'applied' | 'deleted', object: KubernetesObject) =>
      f.feed({ kind, resource: 'ipaddresspools', object });
    expect(change('deleted', configured('a'))).toContain('want ipaddresspools a');
    expect(change('applied', ours('a'))).toEqual([]);
    expect(change('applied', configured('a'))).toContain('drop ipaddresspools a');
  });
});
