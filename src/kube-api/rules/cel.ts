/**
 * CEL rules of CustomResourceDefinitions (x-kubernetes-validations).
 * @module
 */
import { Environment } from '@marcbachmann/cel-js';
import { matchesPattern } from './pattern.ts';

export interface CelRuleProgram {
  /** The rule uses oldSelf: it is a transition rule, evaluated only when there is an old value. */
  readonly comparesOld: boolean;
  /** False also when the rule cannot be evaluated. */
  holds(self: unknown, oldSelf: unknown): boolean;
}

/** Our name for `matches`, which the library has with JavaScript's engine and does not let anybody replace. */
const MATCHES = 'matchesInLinearTime';

const environment = new Environment()
  .registerVariable('self', 'dyn')
  .registerVariable('oldSelf', 'dyn')
  .registerFunction(`string.${MATCHES}(string): bool`, (text: string, pattern: string) =>
    matchesPattern(pattern, text),
  );
const programs = new Map<string, CelRuleProgram>();

/** Throws the parser's error when the text is not valid CEL. */
export function compileRule(rule: string): CelRuleProgram {
  const known = programs.get(rule);
  if (known !== undefined) return known;
  const evaluate = environment.parse(rule);
  replaceMatches(evaluate.ast, new Set());
  const program: CelRuleProgram = {
    comparesOld: /\boldSelf\b/.test(rule),
    holds: (self, oldSelf) => {
      try {
        return evaluate({ self: toCel(self), oldSelf: toCel(oldSelf) }) === true;
      } catch {
        return false;
      }
    },
  };
  programs.set(rule, program);
  return program;
}

/** Goes through everything that belongs to a parsed rule, as macros keep their parts in places of their own. */
function replaceMatches(node: unknown, seen: Set<object>): void {
  if (typeof node !== 'object' || node === null || seen.has(node)) return;
  seen.add(node);
  const { op, args } = node as { op?: unknown; args?: unknown };
  if (op === 'rcall' && Array.isArray(args) && args[0] === 'matches') args[0] = MATCHES;
  for (const part of Object.values(node)) replaceMatches(part, seen);
}

/** CEL distinguishes int and double; to Kubernetes a whole JSON number is an int. */
function toCel(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  // A Map: the evaluator asks an object for its constructor, and one from outside may have a field of that name.
  if (typeof value === 'object' && value !== null)
    return new Map(Object.entries(value).map(([key, child]) => [key, toCel(child)]));
  return value;
}
