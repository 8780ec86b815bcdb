import { expect, it } from 'vitest';
import { configured, pool } from '../../../test/builders.ts';
import { formatProblem } from '../api/problem.ts';
import { inOneNamespace } from './namespace.ts';

const here = pool('here', ['192.0.2.0/30']);
const there = pool('there', ['192.0.2.4/30'], {}, { namespace: 'default' });
const counted = { ...there, status: { assignedIPv4: 0 } };
const state = (namespace: string) => configured('controller', {}, { namespace });

it.each<[string, Parameters<typeof inOneNamespace>[0], string | undefined, string | undefined, string[]]>([
  ['the one that is given', { ipaddresspools: [here, there] }, 'default', 'default', ['there']],
  [
    'the one in which the controller speaks',
    { ipaddresspools: [here, there], configurationstates: [state('default')] },
    undefined,
    'default',
    ['there'],
  ],
  ['the usual one', { ipaddresspools: [here, there] }, undefined, 'metallb-system', ['here']],
  [
    'all where the controller counts in another one',
    { ipaddresspools: [here, counted] },
    undefined,
    undefined,
    ['here', 'there'],
  ],
  ['all where nobody tells', { ipaddresspools: [there] }, undefined, undefined, ['there']],
  ['none when there is no configuration', {}, undefined, undefined, []],
])('configuration is that of %s', (_, objects, given, namespace, kept) => {
  const found = inOneNamespace(objects, given);
  expect(found.namespace).toBe(namespace);
  expect((found.objects.ipaddresspools ?? []).map(({ metadata }) => metadata.name)).toEqual(kept);
});

it('names what is elsewhere', () => {
  expect(inOneNamespace({ ipaddresspools: [here, there] }).problems.map(formatProblem)).toEqual([
    'IPAddressPool default/there: metadata.namespace: "default": configuration is read from one namespace only; create it in the namespace metallb-system',
  ]);
});
