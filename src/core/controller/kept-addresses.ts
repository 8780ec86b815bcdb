/**
 * What of the addresses that a Service has stays: each address is judged by itself, so that a fault costs what is faulty and nothing
 * else (docs/behaviour/allocation.md#addresses-that-a-service-has).
 * @module
 */
import type { Allocator } from '../ipam/allocator.ts';
import type { AllocationRequest, ClaimRefusal } from '../ipam/request.ts';
import { distinctAddresses, formatAddress, type IpAddress, type IpFamily, includesAddress } from '../net/address.ts';
import { describeRefusal, familyName } from '../reasons/allocation.ts';
import type { Words } from '../reasons/reasons.ts';

/** The addresses that a Service has, those first that are rather its own: a status is what somebody wrote, and not always we. */
export interface Present {
  /** What its status shows, each address once. */
  readonly shown: readonly IpAddress[];
  /** What we gave it: what the allocator says, and what its status showed when it was last as we wanted it. */
  readonly own: readonly IpAddress[];
  /** What users may know of: what the status shows or has shown, or what is on its way there. */
  readonly known: readonly IpAddress[];
}

export interface Kept {
  /** At most one of each family, all of one pool; primary family first. */
  readonly addresses: readonly IpAddress[];
  /** Those of them that the configuration does not allow at the moment: they stay because it may be on its way to do so again. */
  readonly waiting: readonly IpAddress[];
}

/** `mayWait`: whether these addresses stay although the configuration has this against them. */
export function keptAddresses(
  allocator: Allocator,
  request: AllocationRequest,
  present: Present,
  mayWait: (refusal: ClaimRefusal, addresses: readonly IpAddress[]) => boolean,
): Kept {
  const stays = (addresses: readonly IpAddress[]) => {
    const refusal = allocator.refusal(request, addresses);
    if (refusal === undefined) return true;
    // Pools are asked first: what waits for them may have become somebody else's.
    return (
      allocator.clash(request, addresses) === undefined && mayWait(refusal, refused(allocator, request, addresses))
    );
  };
  const keep = (addresses: readonly IpAddress[]): Kept => ({
    addresses,
    waiting: refused(allocator, request, addresses),
  });
  const usable = byPreference(present).filter((address) => stays([address]));
  const [primary, secondary] = request.families as [IpFamily, IpFamily?];
  const ofFamily = (family: IpFamily | undefined) => usable.filter((address) => address.family === family);
  if (secondary === undefined) return keep(ofFamily(primary).slice(0, 1));
  const [firsts, seconds] = [ofFamily(primary), ofFamily(secondary)];
  const pairs = firsts.flatMap((first) => seconds.map((second) => [first, second]));
  const pair = pairs.find(stays);
  if (pair !== undefined) return keep(pair);
  // Two that are of different pools cannot both stay: rather the one that can have company again.
  const single = [...firsts, ...seconds];
  const other = ({ family }: IpAddress) => (family === primary ? secondary : primary);
  const best = single.find((address) => allocator.hasCompany(request, address, other(address))) ?? single[0];
  return keep(best === undefined ? [] : [best]);
}

/** Those that there is something against: each by itself, or all together. */
function refused(
  allocator: Allocator,
  request: AllocationRequest,
  addresses: readonly IpAddress[],
): readonly IpAddress[] {
  if (addresses.length === 0 || allocator.refusal(request, addresses) === undefined) return [];
  const each = addresses.filter((address) => allocator.refusal(request, [address]) !== undefined);
  return each.length > 0 ? each : addresses;
}

function byPreference({ shown, own }: Present): IpAddress[] {
  return distinctAddresses([...shown.filter((address) => includesAddress(own, address)), ...own, ...shown]);
}

/** Why an address that the status shows does not stay beside those that do. */
export function whyLost(
  { allocator, request, setAside }: LossFacts,
  address: IpAddress,
  kept: readonly IpAddress[],
): Words {
  const { family } = address;
  if (!request.families.includes(family))
    return () =>
      `its IP family is ${familyName(family)}, but the Service needs ${request.families.map(familyName).join(' and ')}`;
  const others = kept.filter((other) => other.family !== family);
  const refusal = allocator.refusal(request, [address]) ?? allocator.refusal(request, [...others, address]);
  if (refusal !== undefined) return (reader) => describeRefusal(refusal, setAside, reader);
  return () => `a Service has one address of a family, and this one has ${listed(kept)}`;
}

interface LossFacts {
  readonly allocator: Allocator;
  readonly request: AllocationRequest;
  /** Names of pools that exist but are invalid. */
  readonly setAside: ReadonlySet<string>;
}

export function listed(addresses: readonly IpAddress[]): string {
  return addresses.map(formatAddress).join(', ');
}
