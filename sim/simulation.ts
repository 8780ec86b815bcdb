/**
 * One run of the whole system from a seed: users who create, change and delete, and everything that can go wrong.
 * Safety is checked after every event; what must hold at rest, once all faults are over.
 * @module
 */
import { Ownership } from './ownership.ts';
import { Routing } from './routing.ts';
import { checkStatuses } from './statuses.ts';
import { Users } from './users.ts';
import { VirtualCluster } from './virtual-cluster.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly nodes?: number;
  /** Number of user actions and faults. */
  readonly steps?: number;
  /** Share of liveness messages that get lost, 0 to 1. */
  readonly loss?: number;
}

export interface SimulationReport {
  readonly seed: number;
  /** Empty if nothing went wrong. */
  readonly violations: readonly string[];
  /** Milliseconds from the death of an owner until another node answered, for every planned probe. */
  readonly failovers: readonly number[];
  /** Milliseconds from the loss of a node until the router held no route of it, likewise. */
  readonly withdrawals: readonly number[];
  readonly happenings: readonly string[];
}

/** Time to come to rest after the last fault, in virtual milliseconds: the longest sleep, a Lease that runs out, the longest back-off. */
const REST = 90_000;

/** How often pools, statuses and controllers are disturbed on the healthy cluster. */
const ROUNDS = 5;

export function simulate({ seed, nodes = 4, steps = 40, loss = 0.02 }: SimulationOptions): SimulationReport {
  const cluster = new VirtualCluster(seed, nodes, loss);
  const { clock, random, violations } = cluster;
  // By BGP a Service of that policy is told from some nodes only: that is another simulation's business.
  const withRouter = nodes > 0 && seed % 2 === 1;
  const users = new Users(cluster, !withRouter);
  const pass = (milliseconds: number) => clock.runUntil(clock.now() + milliseconds, () => users.checkAlways());
  const ownership = new Ownership(cluster, loss, pass);
  const routing = withRouter ? new Routing(cluster, pass) : undefined;
  const happenings: string[] = [];
  // In every fifth run, so that what it hides from sight in the runs that have it is seen in the others.
  const hostile: readonly (readonly [string, () => void])[] =
    seed % 5 === 0 ? [['a member is hostile', () => cluster.turnHostile()]] : [];
  const repertoire: readonly (readonly [string, () => void])[] = [
    ...whatMayHappen(cluster, users),
    ...(routing?.repertoire ?? []),
    ...hostile,
    ...hostile,
  ];

  pass(2000);
  for (let i = 0; i < steps; i++) {
    const [name, act] = random.pick(repertoire)!;
    happenings.push(`${clock.now()} ${name}`);
    act();
    pass(random.between(0, 600));
  }
  cluster.heal();
  pass(REST);
  users.checkRest();
  ownership.checkRest(users.addresses);
  routing?.checkRest(users.addresses);
  checkStatuses(cluster, users, routing, pass);
  for (let i = 0; i < ROUNDS; i++) users.checkStaying(pass);
  const [address] = users.addresses;
  random.pick([
    () => ownership.checkFailover(address),
    () => ownership.checkMove(address),
    () => ownership.checkDrain(address),
    () => ownership.checkSplit(address, () => users.pools.splitOrJoin(random.between(1000, 3000))),
    () => ownership.checkForgery(address),
  ])!();
  if (routing !== undefined)
    random.pick([
      () => routing.checkReset(users.addresses),
      () => routing.checkPowerLoss(users.addresses),
      () => routing.checkFreeze(users.addresses),
      () => routing.checkStop(users.addresses),
      () => routing.checkDrain(users.addresses),
      () => routing.checkRemoval(users.addresses),
    ])!();
  const { failovers } = ownership;
  return { seed, violations, failovers, withdrawals: routing?.withdrawals ?? [], happenings };
}

/** User actions and faults; entries listed twice happen more often. */
function whatMayHappen(cluster: VirtualCluster, users: Users): readonly (readonly [string, () => void])[] {
  const { random, api, nodes } = cluster;
  return [
    ['a Service is created', () => users.createService()],
    ['a Service is created', () => users.createService()],
    ['a Service is created', () => users.createService()],
    ['a Service is deleted', () => users.deleteService()],
    ['a Service asks for an address', () => users.askForAddress()],
    ['a Service becomes ClusterIP', () => users.becomeClusterIp()],
    ['a Service becomes LoadBalancer', () => users.becomeLoadBalancer()],
    ['endpoints move', () => users.moveEndpoints()],
    ['a label changes', () => users.changeLabel()],
    ['another controller adds to a status', () => users.addToStatus()],
    ...users.pools.repertoire,
    ['a controller is killed', () => cluster.withController((controller) => controller.kill())],
    ['a controller is asked to end', () => cluster.withController((controller) => controller.end())],
    ['a controller sleeps', () => cluster.withController((controller) => controller.sleep(random.between(50, 25_000)))],
    [
      'the leader dies at one of its next writes',
      () => cluster.withLeader((leader) => leader.dieAt(random.between(1, 4), random.chance(0.5))),
    ],
    ['a speaker is killed', () => cluster.killSomeSpeaker()],
    ['a speaker is killed', () => cluster.killSomeSpeaker()],
    ['a speaker is asked to end', () => cluster.endSomeSpeaker()],
    [
      'a node is drained, or no longer',
      () => nodes.length > 0 && cluster.drain(random.pick(nodes)!, random.chance(0.5)),
    ],
    ['a speaker starts again', () => cluster.reviveSomeSpeaker()],
    ['a speaker collects garbage', () => cluster.withSpeaker((speaker) => speaker.sleep(300))],
    ['a speaker stands still', () => cluster.withSpeaker((speaker) => speaker.sleep(2000))],
    [
      'the main thread of a speaker stalls',
      () => cluster.withSpeaker((speaker) => speaker.stall(random.between(50, 5000))),
    ],
    ['a link flaps', () => cluster.withSpeaker(({ name }) => cluster.pullCable(name, random.between(20, 3000)))],
    [
      'somebody forges claims',
      () => cluster.forgeClaims(random.pick([...users.addresses]) ?? '198.51.100.0', random.between(200, 5000)),
    ],
    ['a path is cut one way', () => cluster.cutOneWay()],
    ['the network is parted', () => cluster.part()],
    ['the API server goes away', () => cluster.takeApiAway()],
    ['the API server is slow, and refuses', () => cluster.overloadApi()],
    ['watches are reset', () => api.resetWatches()],
    ['the history is compacted', () => cluster.compactHistory()],
  ];
}
