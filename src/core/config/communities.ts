/**
 * BGP communities: literals (docs/behaviour/bgp.md#communities) and the Community objects that name them (rule C1).
 * @module
 */
import { community } from '../api/kinds.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import type { CommunityAliases, CommunityValue } from './config.ts';
import type { Inspection } from './inspection.ts';

export type ParsedCommunity =
  | { readonly kind: 'value'; readonly value: CommunityValue }
  /** It looks like a literal, but a number in it is invalid. */
  | { readonly kind: 'bad-literal'; readonly message: string }
  /** It does not look like a literal: it may be the name of an alias. */
  | { readonly kind: 'not-a-literal' };

/** Parses `A:B` (RFC 1997) or `large:A:B:C` (RFC 8092). */
export function parseCommunity(text: string): ParsedCommunity {
  const parts = text.split(':');
  if (parts.length === 2) {
    const numbers = parts.map((part) => wholeNumber(part, 0xffff));
    if (!numbers.includes(undefined))
      return { kind: 'value', value: { kind: 'standard', parts: numbers as [number, number] } };
    return { kind: 'bad-literal', message: 'both halves of a community are numbers from 0 to 65535' };
  }
  if (parts.length === 4) {
    const numbers = parts.slice(1).map((part) => wholeNumber(part, 0xffff_ffff));
    if (parts[0] === 'large' && !numbers.includes(undefined))
      return { kind: 'value', value: { kind: 'large', parts: numbers as [number, number, number] } };
    return { kind: 'bad-literal', message: 'a large community is "large:" and three numbers from 0 to 4294967295' };
  }
  return { kind: 'not-a-literal' };
}

/** The cure for text that is not a community. */
export const COMMUNITY_CURE = 'write it as 64512:100 or large:64512:1:2';

/**
 * Bytes that the communities of one route may have together. Beside everything else that a route can have they leave room for its prefix in a
 * message of 4,096 bytes, which is all that some routers take.
 */
export const MOST_COMMUNITY_BYTES = 3600;

/** On the wire (RFC 1997, RFC 8092). */
export function communityBytes(standard: number, large: number): number {
  return 4 * standard + 12 * large;
}

function wholeNumber(text: string, highest: number): number | undefined {
  const value = Number(text);
  return /^\d+$/.test(text) && value <= highest ? value : undefined;
}

export function parseAliases(object: KubernetesObject, inspection: Inspection): CommunityAliases | undefined {
  const validated = inspection.validate(community, object);
  if (validated === undefined) return undefined;
  const values = new Map<string, CommunityValue>();
  for (const [i, { name = '', value = '' }] of (validated.spec?.communities ?? []).entries()) {
    const path = ['spec', 'communities', i];
    if (name === '') inspection.report([...path, 'name'], name, 'the alias has no name', 'give it one');
    else if (values.has(name)) inspection.report([...path, 'name'], name, 'this alias is listed twice', 'list it once');
    const parsed = parseCommunity(value);
    if (parsed.kind === 'value') values.set(name, parsed.value);
    else {
      const message = parsed.kind === 'bad-literal' ? parsed.message : 'this is not a community';
      inspection.report([...path, 'value'], value, message, COMMUNITY_CURE);
    }
  }
  return { name: object.metadata.name, values };
}

/** All aliases in force, by name, and which Community object each is of. */
export type Aliases = Map<string, { readonly value: CommunityValue; readonly of: string }>;

export function takeAliases({ name: of, values }: CommunityAliases, aliases: Aliases): void {
  for (const [name, value] of values) aliases.set(name, { value, of });
}

/** Aliases are global: no two Community objects may define the same one. */
export function aliasClashes(
  { values }: CommunityAliases,
  aliases: Readonly<Pick<Aliases, 'get'>>,
  inspection: Inspection,
): void {
  for (const name of values.keys()) {
    const other = aliases.get(name)?.of;
    if (other === undefined) continue;
    inspection.report(
      ['spec', 'communities'],
      name,
      `Community ${other} has an alias of this name`,
      'use another name, or leave it in one of the two',
    );
  }
}
