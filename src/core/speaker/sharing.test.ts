import fc from 'fast-check';
import { expect, it } from 'vitest';
import { configured, endpoints, node, pool, service } from '../../../test/builders.ts';
import { EMPTY_WORLD, TestSpeaker } from '../../../test/test-speaker.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import type { SpeakerInput } from './state.ts';

const NODES = ['node-1', 'node-2', 'node-3'];
const NAMES = ['a', 'b', 'c', 'd'];
const ADDRESSES = ['198.51.100.1', '198.51.100.2', '2001:db8::1'];

/** What becomes of one Service: its addresses, policy and endpoints; undefined: it is deleted. */
const change = fc.record({
  name: fc.constantFrom(...NAMES),
  to: fc.option(
    fc.record({
      addresses: fc.subarray(ADDRESSES, { minLength: 1, maxLength: 2 }),
      isLocal: fc.boolean(),
      nodes: fc.subarray(NODES),
    }),
    { nil: undefined },
  ),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function objectsOf({ name, to }: Change): { readonly service: KubernetesObject; readonly slice: KubernetesObject } {
  const { addresses = [], isLocal = false, nodes = [] } = to ?? {};
  const policy = isLocal ? { externalTrafficPolicy: 'Local' } : {};
  const shared = { annotations: { 'metallb.io/allow-shared-ip': 'k' } };
  return { service: service(name, policy, shared, addresses), slice: endpoints(name, ...nodes) };
}

function startAll(last: readonly Change[]): TestSpeaker[] {
  const found = last.filter(({ to }) => to !== undefined).map(objectsOf);
  const world = {
    ...EMPTY_WORLD,
    nodes: NODES.map((name) => node(name)),
    services: found.map((each) => each.service),
    endpointslices: found.map((each) => each.slice),
    ipaddresspools: [pool('p', ['198.51.100.0/24', '2001:db8::/64'])],
    l2advertisements: [configured('l2')],
  };
  return NODES.map((name) => {
    const speaker = new TestSpeaker(name, { liveness: false });
    speaker.feed({ kind: 'links', names: ['eth0'], fit: ['eth0'] });
    for (const [resource, objects] of Object.entries(world))
      speaker.feed({ kind: 'replaced', resource, objects } as SpeakerInput);
    return speaker;
  });
}

const announced = (speakers: readonly TestSpeaker[]) =>
  speakers.map((speaker) => speaker.last('announce')?.announcements ?? []);
/** What each says last of each Service that there is. */
const decided = (speakers: readonly TestSpeaker[], names: readonly string[]) =>
  speakers.map(({ outputs }) =>
    names.map((name) => {
      const last = outputs.findLast(
        (output) => output.kind === 'service-decided' && output.service === `default/${name}`,
      );
      // Nothing is said where nothing is announced from the start.
      return last ?? 'nothing';
    }),
  );

it('whatever becomes of Services that share addresses, in the end it is as if it had been so from the start', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12, size: 'max' }), (changes) => {
      const speakers = startAll([]);
      for (const one of changes) {
        const { service: object, slice } = objectsOf(one);
        const kind = one.to === undefined ? 'deleted' : 'applied';
        for (const speaker of speakers) {
          speaker.feed({ kind, resource: 'endpointslices', object: slice });
          speaker.feed({ kind, resource: 'services', object });
        }
      }
      const last = [...new Map(changes.map((one) => [one.name, one])).values()];
      const fresh = startAll(last);
      const names = last.flatMap(({ name, to }) => (to === undefined ? [] : [name]));
      expect(announced(speakers)).toEqual(announced(fresh));
      expect(decided(speakers, names)).toEqual(decided(fresh, names));
      // On the wire: nobody twice.
      const all = announced(speakers).flatMap((some) => some.map(({ address }) => address));
      expect(new Set(all.map(({ value }) => value)).size).toBe(all.length);
    }),
  );
});
