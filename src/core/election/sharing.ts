/**
 * Which addresses have one owner. Services that share an address can have but one, for one node answers for it on the wire; a Service of both
 * families has one for both its addresses, as upstream's, unless no node could serve all that share with it.
 * @module
 */
import { compareText } from '../net/order.ts';
import {
  type Candidate,
  type Contest,
  type ElectionResult,
  elect,
  isEligible,
  type Lot,
  type Sha256,
  servable,
  servedBy,
} from './election.ts';

/** A Service with what the election has to know of it. */
export interface Sharer {
  /** Namespace and name. */
  readonly service: string;
  /** Canonical texts, its first address first. */
  readonly addresses: readonly string[];
  readonly contest: Contest;
}

/** Addresses with one owner, and who it is. */
export interface Elected {
  readonly lot: Lot;
  readonly addresses: readonly string[];
  /** Keys of the Services, sorted. */
  readonly services: readonly string[];
  readonly election: ElectionResult;
}

/** `sharers`: Services that share addresses with each other, directly or by way of one another. `nodeOf`: whose own address it is. */
export function electShared(
  sharers: readonly Sharer[],
  nodeOf: (address: string) => string | undefined,
  candidates: readonly Candidate[],
  sha256: Sha256,
): Elected[] {
  const inOrder = sharers.toSorted(
    (a, b) => b.addresses.length - a.addresses.length || compareText(a.service, b.service),
  );
  const addresses = [...new Set(inOrder.flatMap((sharer) => sharer.addresses))];
  const sharersOf = (address: string) => inOrder.filter((sharer) => sharer.addresses.includes(address));
  const electFor = (some: readonly string[], kin: ReadonlySet<string>): Elected => {
    const those = inOrder.filter((sharer) => sharer.addresses.some((address) => some.includes(address)));
    const nodes = new Set(some.flatMap((address) => nodeOf(address) ?? []));
    const lot = { address: some[0]!, nodes, contests: those.map(({ contest }) => contest), kin };
    const services = those.map(({ service }) => service).sort();
    return { lot, addresses: some, services, election: elect(lot, candidates, sha256) };
  };
  const together = electFor(addresses, new Set());
  if (addresses.length < 2 || isUnshared(inOrder, together) || servesAll(together, candidates)) return [together];
  // What most share first: the others can go where that goes.
  const apart: Elected[] = [];
  for (const address of addresses.toSorted((a, b) => sharersOf(b).length - sharersOf(a).length)) {
    const services = sharersOf(address).map(({ service }) => service);
    const kin = apart.filter((other) => other.services.some((service) => services.includes(service)));
    apart.push(electFor([address], new Set(kin.flatMap(({ election }) => election.owner ?? []))));
  }
  return apart;
}

function isUnshared(sharers: readonly Sharer[], { lot }: Elected): boolean {
  return sharers.length < 2 && lot.nodes.size === 0;
}

function servesAll({ lot, election }: Elected, candidates: readonly Candidate[]): boolean {
  const owner = candidates.find(({ name }) => name === election.owner);
  return owner !== undefined && servedBy(lot, owner) === servable(lot, candidates);
}

/** What one of the Services has of it: the owner announces the address for it, or for others only. */
export function shareOf(
  { lot, election }: Elected,
  contest: Contest,
  candidates: readonly Candidate[],
  sha256: Sha256,
): ElectionResult {
  if (lot.contests.length < 2) return election;
  const own = elect({ ...lot, contests: [contest] }, candidates, sha256);
  const byNode = new Map(own.checks.map((check) => [check.node, check]));
  const holder = election.owner === undefined ? undefined : byNode.get(election.owner);
  const isServed = holder !== undefined && isEligible(holder);
  const checks = election.checks.map((common) => {
    const check = byNode.get(common.node)!;
    if (!isEligible(check)) return check;
    if (isServed) return { ...common, score: check.score };
    const isBetter = check.verdict === 'owner' || check.verdict === 'lost-election';
    return isBetter ? { ...check, verdict: 'serves-fewer' as const } : check;
  });
  return { owner: isServed ? election.owner : undefined, checks };
}
