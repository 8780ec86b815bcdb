/**
 * The names that Kubernetes knows: what is wrong with one, undefined where nothing is.
 * @module
 */

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const DNS_NAME = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'";
const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const NAME_PART =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

export const invalid = (value: unknown, why: string) => `Invalid value: ${JSON.stringify(value ?? null)}: ${why}`;

/** A DNS name. */
export function subdomain(text: string): string | undefined {
  if (text.length > 253) return invalid(text, 'must be no more than 253 characters');
  return SUBDOMAIN.test(text) ? undefined : invalid(text, DNS_NAME);
}

/** A name with or without a DNS name and a slash before it, as keys of labels are. */
export function qualifiedName(text: string): string | undefined {
  const pieces = text.split('/');
  const name = pieces.at(-1)!;
  if (pieces.length > 2) return invalid(text, 'must be a name, or a DNS name, a slash and a name');
  if (name === '') return invalid(text, 'name part must be non-empty');
  if (name.length > 63) return invalid(text, 'name part must be no more than 63 characters');
  if (pieces.length === 2 && !SUBDOMAIN.test(pieces[0]!)) return invalid(text, `prefix part ${DNS_NAME}`);
  return NAME.test(name) ? undefined : invalid(text, NAME_PART);
}

/** Labels, as objects have them and selectors ask for them. */
export function labelFault(labels: Readonly<Record<string, string>> | undefined): string | undefined {
  for (const [key, value] of Object.entries(labels ?? {})) {
    const wrongKey = qualifiedName(key);
    if (wrongKey !== undefined) return wrongKey;
    if (value.length > 63) return invalid(value, 'must be no more than 63 characters');
    if (value !== '' && !NAME.test(value))
      return invalid(value, 'a valid label must be an empty string or consist of alphanumeric characters');
  }
  return undefined;
}
