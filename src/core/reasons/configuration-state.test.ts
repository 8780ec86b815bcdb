import { expect, it } from 'vitest';
import { configurationState } from './configuration-state.ts';

const IDENTITY = { name: 'controller', labels: { a: 'b' }, conditionType: 'poolReconcilerValid', fieldManager: 'm' };
const NOW = '2026-11-25T12:00:00Z';
const PROBLEM = {
  object: { kind: 'IPAddressPool', namespace: 'metallb-system', name: 'p' },
  field: 'spec.addresses[0]',
  value: 'x',
  message: 'this is no range',
  cure: 'write one',
};

it.each([
  ['Valid', 'True', 'Reconciled', '', []],
  [
    'Invalid',
    'False',
    'ConfigurationError',
    'IPAddressPool metallb-system/p: spec.addresses[0]: "x": this is no range; write one',
    [PROBLEM],
  ],
])('a ConfigurationState is %s', (result, status, reason, message, problems) => {
  const { metadata, status: said } = configurationState(IDENTITY, problems, NOW).object;
  expect(metadata).toEqual({ name: 'controller', labels: { a: 'b' } });
  expect(said).toEqual({
    result,
    errorSummary: message,
    conditions: [{ type: 'poolReconcilerValid', status, reason, message, lastTransitionTime: NOW }],
  });
});
