/**
 * Label and field selectors in query strings.
 * @module
 */
import { own } from '../../core/api/json.ts';
import type { LabelSelector, LabelSelectorRequirement } from '../../core/api/kubernetes.ts';
import { selectorMatches } from '../../core/api/selector.ts';
import { StatusError } from '../status.ts';
import type { ApiObject } from './store.ts';

export type Matcher = (object: ApiObject) => boolean;

/** True for objects that match both selectors; null matches everything. Throws 400 for an invalid selector. */
export function parseSelectors(labelSelector: string | null, fieldSelector: string | null): Matcher {
  const labels = labelSelector ? parseLabelSelector(labelSelector) : undefined;
  const fields = fieldSelector ? parseFieldSelector(fieldSelector) : [];
  return (object) =>
    (labels === undefined || selectorMatches(labels, object.metadata.labels)) &&
    fields.every((matches) => matches(object));
}

/** Name, optionally after a DNS name and a slash (labels of Kubernetes); a value is a name or nothing. */
const NAME = '[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?';
const KEY = new RegExp(`^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?${NAME}$`);
const VALUE = new RegExp(`^(?:${NAME})?$`);

/** From left to right, each character once: a selector comes from whoever asks. */
function parseLabelSelector(text: string): LabelSelector {
  const tokens = text.match(/==|!=|[=!(),]|[^\s=!(),]+/g) ?? [];
  let at = 0;
  const refuse = (): never => {
    const found = tokens[at] === undefined ? 'the end' : JSON.stringify(tokens[at]);
    throw new StatusError(400, `unable to parse requirement ${matchExpressions.length + 1}: it is wrong at ${found}`);
  };
  const isNext = (...wanted: readonly (string | undefined)[]) => wanted.includes(tokens[at]);
  const take = (...wanted: readonly string[]) => (isNext(...wanted) ? tokens[at++]! : refuse());
  const takeWord = (form: RegExp) => (form.test(tokens[at] ?? ' ') ? tokens[at++]! : refuse());
  /** A value may be empty, and then there is no token for it. */
  const takeValue = () => (isNext(undefined, ',', ')') ? '' : takeWord(VALUE));
  const takeValues = () => {
    take('(');
    const values = [takeValue()];
    while (take(',', ')') === ',') values.push(takeValue());
    return values;
  };
  const requirement = (): LabelSelectorRequirement => {
    if (isNext('!')) {
      at++;
      return { key: takeWord(KEY), operator: 'DoesNotExist' };
    }
    const key = takeWord(KEY);
    if (isNext(undefined, ',')) return { key, operator: 'Exists' };
    const operator = take('=', '==', '!=', 'in', 'notin');
    const values = operator.endsWith('in') ? takeValues() : [takeValue()];
    return { key, operator: operator === '!=' || operator === 'notin' ? 'NotIn' : 'In', values };
  };
  const matchExpressions: LabelSelectorRequirement[] = [];
  do matchExpressions.push(requirement());
  while (at < tokens.length && take(',') === ',');
  return { matchExpressions };
}

function parseFieldSelector(text: string): Matcher[] {
  return text.split(',').map((piece) => {
    const match = /^([\w.[\]]+)(==|=|!=)(.*)$/.exec(piece.trim());
    if (match === null) throw new StatusError(400, `invalid field selector: ${JSON.stringify(piece)}`);
    const [, path, operator, value] = match as unknown as [string, string, string, string];
    return (object) => (String(fieldAt(object, path) ?? '') === value) === (operator !== '!=');
  });
}

function fieldAt(object: ApiObject, path: string): unknown {
  let value: unknown = object;
  for (const piece of path.split('.')) value = own(value as Record<string, unknown> | undefined, piece);
  return value;
}
