/**
 * Kubernetes label selectors: do these labels match, and is this selector legal at all?
 * @module
 */
import { own } from './json.ts';
import type { LabelSelector } from './kubernetes.ts';
import { isIn } from './membership.ts';

export type Labels = Readonly<Record<string, string>>;

const NO_LABELS: Labels = {};

/** The legal operators of a matchExpressions entry, and what each asks of a label (undefined: label absent). */
const OPERATORS: Readonly<Record<string, (value: string | undefined, values: readonly string[]) => boolean>> = {
  In: (value, values) => value !== undefined && isIn(values, value),
  NotIn: (value, values) => value === undefined || !isIn(values, value),
  Exists: (value) => value !== undefined,
  DoesNotExist: (value) => value === undefined,
};

/** True when the labels satisfy every condition of the selector. An unknown operator matches nothing. */
export function selectorMatches(selector: LabelSelector, labels: Labels = NO_LABELS): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (own(labels, key) !== value) return false;
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    if (!own(OPERATORS, operator)?.(own(labels, key), values ?? [])) return false;
  }
  return true;
}

/** Selector lists are OR-ed; an empty list restricts nothing (docs/behaviour/index.md#words). */
export function anySelectorMatches(selectors: readonly LabelSelector[], labels: Labels = NO_LABELS): boolean {
  return selectors.length === 0 || selectors.some((selector) => selectorMatches(selector, labels));
}

interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}

/** True when no labels whatever satisfy both selectors: they ask different things of one label. */
export function areDisjoint(a: LabelSelector, b: LabelSelector): boolean {
  const byKey = Map.groupBy([...requirementsOf(a), ...requirementsOf(b)], ({ key }) => key);
  return [...byKey.values()].some((requirements) => {
    const named = requirements.flatMap(({ values }) => values);
    // One value that nobody names stands for all others; and the label may be absent.
    const possible = [...named, `${named.join('')}~`, undefined];
    return !possible.some((value) =>
      requirements.every(({ operator, values }) => OPERATORS[operator]?.(value, values)),
    );
  });
}

function requirementsOf({ matchLabels = {}, matchExpressions = [] }: LabelSelector): Requirement[] {
  return [
    ...Object.entries(matchLabels).map(([key, value]) => ({ key, operator: 'In', values: [value] })),
    ...matchExpressions.map(({ key, operator, values = [] }) => ({ key, operator, values })),
  ];
}

/** A fault of a selector: path below the selector, value, what is wrong, what would be right. */
export interface SelectorFault {
  readonly path: readonly (string | number)[];
  readonly value: string;
  readonly message: string;
  readonly cure: string;
}

/** Every rule that Kubernetes and upstream's parser set for one selector (docs/behaviour/resources.md, rule G2). */
export function selectorFaults(selector: LabelSelector): SelectorFault[] {
  const faults: SelectorFault[] = [];
  const seen = new Set<string>();
  for (const [index, { key, operator, values = [] }] of (selector.matchExpressions ?? []).entries()) {
    const at = ['matchExpressions', index];
    const fault = (path: (string | number)[], value: string, message: string, cure: string) =>
      faults.push({ path: [...at, ...path], value, message, cure });
    const needsValues = operator === 'In' || operator === 'NotIn';
    if (key === '') fault(['key'], key, 'the label key is missing', 'name a label');
    if (!Object.hasOwn(OPERATORS, operator)) {
      fault(['operator'], operator, 'this is not an operator', `use one of ${Object.keys(OPERATORS).join(', ')}`);
    } else if (needsValues && values.length === 0) {
      fault(['values'], '', `${operator} needs at least one value`, 'list the values, or use Exists or DoesNotExist');
    } else if (!needsValues && values.length > 0) {
      fault(['values'], values.join(','), `${operator} takes no values`, 'remove the values, or use In or NotIn');
    }
    const repeated = firstRepeated(values);
    if (repeated !== undefined) fault(['values'], repeated, 'the value is listed twice', 'list it once');
    const text = canonicalExpression(key, operator, values);
    if (seen.has(text)) fault([], text, 'the expression is listed twice', 'list it once');
    seen.add(text);
  }
  return faults;
}

function firstRepeated(values: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return values.find((value) => seen.size === seen.add(value).size);
}

/** Text that is equal for two selectors of equal meaning, apart from the order of expressions. */
export function canonicalSelector(selector: LabelSelector): string {
  const labels = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const expressions = (selector.matchExpressions ?? []).map((e) =>
    canonicalExpression(e.key, e.operator, e.values ?? []),
  );
  return JSON.stringify([labels.sort(), expressions]);
}

function canonicalExpression(key: string, operator: string, values: readonly string[]): string {
  return `${key} ${operator} (${[...values].sort().join(',')})`;
}

const EXPRESSIONS: Readonly<Record<string, (key: string, values: string) => string>> = {
  In: (key, values) => `${key} in (${values})`,
  NotIn: (key, values) => `${key} notin (${values})`,
  Exists: (key) => key,
  DoesNotExist: (key) => `!${key}`,
};

/** The selector as kubectl's `--selector` has it, for example `rack=7,!gpu`; empty: everything. */
export function formatSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const labels = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  const expressions = matchExpressions.map(({ key, operator, values = [] }) =>
    Object.hasOwn(EXPRESSIONS, operator) ? EXPRESSIONS[operator]!(key, values.join(',')) : `${key} ${operator}`,
  );
  return [...labels, ...expressions].join(',');
}
