/**
 * Two other ways to choose owners from elections, both off by default. Upstream's rule looks at each address alone.
 *
 *   balanced    no node owns more than a quarter above the average: consistent hashing with bounded loads (Mirrokni, Thorup,
 *               Zadimoghaddam 2018), so that a node that comes or goes moves little besides its own share
 *   no preempt  the node that announces an address keeps it while it can
 *
 * Every speaker computes this for itself, so all need the same settings; the order in which a speaker learned its facts must not matter.
 * @module
 */
import { type ElectionResult, isEligible } from './election.ts';

export interface AssignmentRules {
  readonly balanced: boolean;
  readonly preempt: boolean;
}

/** Addresses that have one owner. */
export interface Contestant {
  /** Canonical text of the one that stands for them. */
  readonly address: string;
  readonly election: ElectionResult;
  /** The node that announces them now. */
  readonly incumbent: string | undefined;
}

/** How far above the average a node may go. */
const SLACK = 1.25;

/** The owner of each address. */
export function assign(contestants: readonly Contestant[], rules: AssignmentRules): Map<string, string | undefined> {
  const byAddress = new Map(contestants.map((contestant) => [contestant.address, contestant]));
  const addresses = [...byAddress.keys()].sort();
  const nodes = new Set(addresses.flatMap((address) => equallyFit(byAddress.get(address)!.election)));
  const bound = rules.balanced ? Math.ceil((SLACK * addresses.length) / Math.max(1, nodes.size)) : undefined;
  const loads = new Map<string, number>();
  const owners = new Map<string, string | undefined>();
  const give = (address: string, owner: string | undefined) => {
    owners.set(address, owner);
    if (owner !== undefined) loads.set(owner, (loads.get(owner) ?? 0) + 1);
  };
  const hasRoom = (node: string) => bound === undefined || (loads.get(node) ?? 0) < bound;
  if (!rules.preempt) {
    for (const address of addresses) {
      const { election, incumbent } = byAddress.get(address)!;
      if (incumbent !== undefined && equallyFit(election).includes(incumbent) && hasRoom(incumbent))
        give(address, incumbent);
    }
  }
  for (const address of addresses) {
    if (owners.has(address)) continue;
    const { election } = byAddress.get(address)!;
    give(address, equallyFit(election).find(hasRoom) ?? election.owner);
  }
  return owners;
}

/** Those that are as fit as the winner: preferences, drains and missing links come before balance. */
function equallyFit({ checks }: ElectionResult): string[] {
  const [winner] = checks;
  if (winner?.verdict !== 'owner') return [];
  return checks
    .filter(({ verdict, score }, i) => i === 0 || (verdict === 'lost-election' && score === winner.score))
    .map(({ node }) => node);
}

/** The same election with another owner, if that node could announce here. */
export function withOwner(election: ElectionResult, owner: string | undefined): ElectionResult {
  if (owner === undefined || owner === election.owner) return election;
  const chosen = election.checks.find(({ node }) => node === owner);
  if (chosen === undefined || !isEligible(chosen)) return election;
  const others = election.checks
    .filter((check) => check !== chosen)
    .map((check) => (check.verdict === 'owner' ? { ...check, verdict: 'lost-election' as const } : check));
  return { owner, checks: [{ ...chosen, verdict: 'owner' }, ...others] };
}
