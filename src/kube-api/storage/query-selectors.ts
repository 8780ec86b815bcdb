/**
 * Label and field selectors in query strings.
 * @module
 */
import type { LabelSelector } from '../../core/api/kubernetes.ts';
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

function parseLabelSelector(text: string): LabelSelector {
  const matchExpressions = text.split(/,(?![^(]*\))/).map((part) => {
    const piece = part.trim();
    const set = /^([^\s!=]+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(piece);
    if (set !== null) {
      const values = set[3]!.split(',').map((value) => value.trim());
      return { key: set[1]!, operator: set[2] === 'in' ? 'In' : 'NotIn', values };
    }
    const equality = /^([^\s!=]+)\s*(==|=|!=)\s*(\S*)$/.exec(piece);
    if (equality !== null)
      return { key: equality[1]!, operator: equality[2] === '!=' ? 'NotIn' : 'In', values: [equality[3]!] };
    const presence = /^(!?)\s*([^\s!=,()]+)$/.exec(piece);
    if (presence !== null) return { key: presence[2]!, operator: presence[1] === '!' ? 'DoesNotExist' : 'Exists' };
    throw new StatusError(400, `unable to parse requirement: ${JSON.stringify(piece)} is not a label selector`);
  });
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
  for (const piece of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[piece];
  return value;
}
