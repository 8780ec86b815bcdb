import { expect, it } from 'vitest';
import { ACCEPTED_CONDITION, accepted, areSaid, claimConditions, withConditions } from './conditions.ts';
import { configurationState } from './configuration-state.ts';

const NOW = '2026-01-01T00:00:00Z';
const problem = (message: string) => ({
  object: { kind: 'IPAddressPool', name: 'p' },
  field: 'spec',
  value: '\u001b[2J'.repeat(2000),
  message,
  cure: 'mend it',
});
const FAULTS = [problem(`\u009b${'x'.repeat(5000)}`)];

const WISHES = [{ type: ACCEPTED_CONDITION, note: accepted(FAULTS) } as const];

it.each([
  ['of a configuration object', withConditions([], WISHES, NOW)[0]!.message],
  [
    'of a status object',
    claimConditions({ duplicates: ['\u001b[2J', 'x'.repeat(5000)], disputes: [] }, NOW)[0]!.message,
  ],
  [
    'of a ConfigurationState',
    (
      configurationState({ name: 'n', labels: {}, conditionType: 't', fieldManager: 'm' }, FAULTS, NOW).object as {
        status: { errorSummary: string };
      }
    ).status.errorSummary,
  ],
])('a condition %s is bounded and moves no cursor', (_, message) => {
  expect(message).toHaveLength(4096);
  expect(message.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
});

it('knows again what it has shortened', () => {
  expect(areSaid(withConditions([], WISHES, NOW), WISHES)).toBe(true);
});
