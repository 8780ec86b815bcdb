/**
 * Why a Service has no address, in words: what is the matter with each pool or with the address that it requests, and what would help.
 * @module
 */
import { quoted } from '../api/text.ts';
import type { ClaimRefusal, PoolCheck, PoolVerdict, ShareFault } from '../ipam/request.ts';
import { formatAddress, type IpFamily } from '../net/address.ts';
import type { Reader } from './reasons.ts';

/** Why a Service has no address, in one word: the label `reason` of metrics. */
export type UnservedReason =
  | PoolVerdict
  | ClaimRefusal['kind']
  | 'no-pool'
  | 'bad-request'
  | 'requested-families'
  | 'cluster-ips'
  | 'not-enough-cluster-ips';

/** The cure for each verdict that denies an address. Only the first that applies is shown. */
const CURES: readonly (readonly [PoolVerdict, string])[] = [
  ['no-such-pool', 'create the IPAddressPool, or correct the address-pool annotation'],
  ['set-aside', 'fix the IPAddressPool; kubectl describe shows what is wrong'],
  ['port-clash', 'use another port, another sharing key, or add addresses to a pool'],
  ['other-endpoints', 'use the same selector, another sharing key, or add addresses to a pool'],
  ['exhausted', 'add addresses to a pool, or delete a Service that holds one'],
  ['only-avoided', 'add other addresses to the pool, or turn its avoidBuggyIPs off'],
  ['one-family-only', 'add the other family to the pool, or set ipFamilyPolicy PreferDualStack on the Service'],
  ['wrong-family', 'add addresses of that family to a pool, or create the Service with other ipFamilies'],
  ['not-selected', 'change serviceAllocation of a pool, or the namespace or labels of the Service'],
  ['auto-assign-off', 'request the pool with the annotation metallb.io/address-pool, or set autoAssign'],
];

/** Of the verdicts of all pools, the one that the cure is for. */
export function mainVerdict(checks: readonly PoolCheck[]): UnservedReason {
  return CURES.find(([verdict]) => checks.some((check) => check.verdict === verdict))?.[0] ?? 'no-pool';
}

/**
 * One sentence for a Service that got no address: each pool with its verdict, then the cure. `where` is the namespace in which
 * pools are looked for, when that is known.
 */
export function describeRefusals(checks: readonly PoolCheck[], where: string | undefined, reader: Reader): string {
  const place = where === undefined ? '' : ` in the namespace ${where}`;
  if (checks.length === 0)
    return `there is no IPAddressPool${place}; create one${where === undefined ? '' : ' there: no other is looked at'}`;
  const verdicts = checks.map(
    (check) => describeCheck(check, reader) + (check.verdict === 'no-such-pool' ? place : ''),
  );
  const cure = CURES.find(([verdict]) => checks.some((check) => check.verdict === verdict))?.[1];
  return `${verdicts.join(', ')}${cure === undefined ? '' : `; ${cure}`}`;
}

/** One pool with its verdict, and what is in the way. */
export function describeCheck(check: PoolCheck, reader: Reader): string {
  return `pool ${quoted(check.pool)} ${describeVerdict(check, reader)}`;
}

function describeVerdict({ verdict, families = [], address, clash, leaving = 0 }: PoolCheck, reader: Reader): string {
  const missing = families.map(familyName).join(' or ');
  const requested = address === undefined ? '' : formatAddress(address);
  switch (verdict) {
    case 'chosen':
      return 'gave the address';
    case 'usable':
      return 'could give an address';
    case 'outranked':
      return 'could give an address, but another pool comes first';
    case 'not-asked-for':
      return 'is not the pool that the annotation address-pool requests';
    case 'outside':
      return `does not contain the requested address ${requested}`;
    case 'avoids':
      return `avoids the requested address ${requested}, which ends in .0 or .255 (avoidBuggyIPs)`;
    case 'exhausted':
      return `${missing === '' ? 'is exhausted' : `has no free ${missing} address`}${describeLeaving(leaving)}`;
    case 'wrong-family':
      return `has no ${missing} addresses`;
    case 'one-family-only':
      return `has no ${missing} addresses, and one pool has to give both families (RequireDualStack)`;
    case 'only-avoided':
      return `has no ${missing} addresses but those that end in .0 or .255, which it avoids (avoidBuggyIPs)`;
    case 'auto-assign-off':
      return 'has autoAssign off';
    case 'not-selected':
      return 'is reserved for other namespaces or Services (serviceAllocation)';
    case 'no-such-pool':
      return 'does not exist';
    case 'set-aside':
      return 'is invalid and set aside; see its events';
    case 'in-use':
    case 'no-key':
    case 'holder-has-no-key':
    case 'other-namespace':
    case 'other-key':
    case 'other-endpoints':
    case 'port-clash':
      return `${address === undefined ? 'has no other address left' : 'cannot give the requested address'}: ${describeShareFault(clash!, reader)}`;
  }
}

function describeLeaving(count: number): string {
  if (count === 0) return '';
  return ` (${count} of its addresses ${count === 1 ? 'is' : 'are'} held by Services that are being deleted and wait for their finalizers)`;
}

/** How the family is written in texts for people. */
export function familyName(family: IpFamily): string {
  return family === 'ipv4' ? 'IPv4' : 'IPv6';
}

/** Whoever knows a sharing key can have the address: only the operator is shown one. */
function describeShareFault(fault: ShareFault, reader: Reader): string {
  const address = `address ${formatAddress(fault.address)}`;
  const holder = describeHolder(fault, reader);
  const under = (key: string) => (reader === 'operator' ? ` under the key ${quoted(key)}` : '');
  switch (fault.kind) {
    case 'in-use':
      return `${address} is in use by ${holder}`;
    case 'no-key':
      return `${address} is shared by ${holder} under a sharing key, and this Service has none`;
    case 'holder-has-no-key':
      return `${address} is in use by ${holder}, which has no sharing key`;
    case 'other-namespace':
      return `${address} is in use by ${holder}, and Services share within a namespace only (--share-across-namespaces=false)`;
    case 'other-key':
      return `${address} is in use by ${holder} under another sharing key${reader === 'operator' ? `, ${quoted(fault.theirs)}` : ''}`;
    case 'other-endpoints':
      return `${address} is shared${under(fault.key)} with ${holder}, which has other endpoints (externalTrafficPolicy Local needs the same selector)`;
    case 'port-clash':
      return `port ${fault.port} of ${address} is held by ${holder}${under(fault.key)}`;
  }
}

function describeHolder({ holder, finalizers }: ShareFault, reader: Reader): string {
  const isNamed = reader === 'operator' || holder.startsWith(`${reader.namespace}/`);
  if (!isNamed) return `a Service in another namespace${finalizers === undefined ? '' : ' (which is being deleted)'}`;
  const waits =
    finalizers === undefined ? '' : ` (which is being deleted and waits for ${describeFinalizers(finalizers)})`;
  return `Service ${holder}${waits}`;
}

function describeFinalizers(finalizers: readonly string[]): string {
  return finalizers.length === 0 ? 'the API server' : `its finalizers ${finalizers.join(', ')}`;
}

/** What would help against somebody who has the address. */
const SHARE_CURES: Readonly<Record<ShareFault['kind'], string>> = {
  'in-use': 'request another address, or release it there',
  'no-key': 'set the annotation metallb.io/allow-shared-ip to the same key, or request another address',
  'holder-has-no-key': 'set the annotation metallb.io/allow-shared-ip there too, or request another address',
  'other-namespace': 'request another address',
  'other-key': 'use one key for both, or request another address',
  'other-endpoints': 'use the same selector, or request another address',
  'port-clash': 'use another port or another address',
};

/** Why a requested or current address cannot be assigned. `setAside`: names of pools that may have it and are not in force. */
export function describeRefusal(refusal: ClaimRefusal, setAside: ReadonlySet<string>, reader: Reader): string {
  switch (refusal.kind) {
    case 'not-in-a-pool':
      if (setAside.size > 0)
        return `address ${formatAddress(refusal.address)} is in no IPAddressPool that is in force, and ${[...setAside].map((name) => `pool "${name}"`).join(', ')} is invalid and set aside; fix that, or request another address`;
      return `address ${formatAddress(refusal.address)} is in no IPAddressPool; add it to one, or request another address`;
    case 'buggy':
      return `address ${formatAddress(refusal.address)} ends in .0 or .255, which pool "${refusal.pool}" avoids (avoidBuggyIPs); request another address`;
    case 'not-selected':
      return `pool "${refusal.pool}" is reserved for other namespaces or Services (serviceAllocation)`;
    case 'other-pool':
      return `the address is from pool "${refusal.pool}", but the annotation address-pool requests pool ${quoted(refusal.asked)}`;
    case 'different-pools':
      return `the addresses are from different pools (${refusal.pools.join(', ')}); request addresses from one pool`;
    default:
      return `${describeShareFault(refusal, reader)}; ${refusal.finalizers === undefined ? SHARE_CURES[refusal.kind] : 'request another address, or see to what it waits for'}`;
  }
}
