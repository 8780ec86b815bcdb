/**
 * One entry of `spec.addresses`: a CIDR, or a range (docs/behaviour/addresses.md#entries).
 * @module
 */
import { formatAddress, parseAddress } from '../net/address.ts';
import { type AddressRange, parsePrefix, prefixRange } from '../net/prefix.ts';

export type ParsedEntry =
  | { readonly ok: true; readonly range: AddressRange }
  | { readonly ok: false; readonly message: string; readonly cure: string };

/** Parses one entry. A refusal says what is wrong and how to write it instead. */
export function parseAddressEntry(text: string): ParsedEntry {
  const dash = text.indexOf('-');
  return dash < 0 ? parseCidr(text) : parseRange(text.slice(0, dash).trim(), text.slice(dash + 1).trim());
}

function parseCidr(text: string): ParsedEntry {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return { ok: true, range: prefixRange(prefix) };
  const bare = parseAddress(text.trim());
  if (bare !== undefined) {
    const address = formatAddress(bare);
    return refuse(
      'a bare address is not accepted here',
      `write ${address}/${bare.family === 'ipv4' ? 32 : 128} for this one address, or FIRST-LAST for a range`,
    );
  }
  if (text !== text.trim())
    return refuse('spaces are not allowed around a CIDR', `write ${JSON.stringify(text.trim())}`);
  return refuse('this is neither a CIDR nor a range', 'write ADDRESS/LENGTH, for example 192.0.2.0/28, or FIRST-LAST');
}

function parseRange(first: string, last: string): ParsedEntry {
  const from = parseAddress(first);
  const to = parseAddress(last);
  if (from === undefined)
    return refuse(`the range begins with ${JSON.stringify(first)}, which is not an IP address`, EXAMPLE);
  if (to === undefined)
    return refuse(`the range ends with ${JSON.stringify(last)}, which is not an IP address`, EXAMPLE);
  if (from.family !== to.family) {
    return refuse('the range begins in one address family and ends in the other', 'write one range for each family');
  }
  if (from.value > to.value) return refuse('the range begins after its end', `swap the two: ${last}-${first}`);
  return { ok: true, range: { family: from.family, first: from.value, last: to.value } };
}

const EXAMPLE = 'write both ends as addresses, for example 192.0.2.10-192.0.2.20';

function refuse(message: string, cure: string): ParsedEntry {
  return { ok: false, message, cure };
}
