/**
 * The ConfigurationState of one process: whether it finds the configuration valid, for `kubectl get configurationstates`
 * (docs/behaviour/status.md#configurationstate).
 * @module
 */
import { formatProblem, type Problem } from '../api/problem.ts';
import type { Desired, Labels } from '../kubernetes/writer/messages.ts';
import { conditionMessage } from './conditions.ts';

export const CONFIGURATION_STATES = 'configurationstates';

export interface ConfigurationStateIdentity {
  /** `controller`, or `speaker-NODE`. */
  readonly name: string;
  readonly labels: Labels;
  /** Type of the condition that this process writes, and the field owner of the write (upstream's names). */
  readonly conditionType: string;
  readonly fieldManager: string;
}

/** The object for the current problems. `now` is RFC 3339 text. */
export function configurationState(
  { name, labels, conditionType }: ConfigurationStateIdentity,
  problems: readonly Problem[],
  now: string,
): Desired {
  const isValid = problems.length === 0;
  const errorSummary = conditionMessage(problems.map(formatProblem).join('\n'));
  const condition = {
    type: conditionType,
    status: isValid ? 'True' : 'False',
    reason: isValid ? 'Reconciled' : 'ConfigurationError',
    message: errorSummary,
    lastTransitionTime: now,
  };
  return {
    resource: CONFIGURATION_STATES,
    object: {
      apiVersion: 'metallb.io/v1beta1',
      kind: 'ConfigurationState',
      metadata: { name, labels },
      status: { result: isValid ? 'Valid' : 'Invalid', errorSummary, conditions: [condition] },
    },
  };
}
