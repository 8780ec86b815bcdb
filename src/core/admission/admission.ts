/**
 * Judges a configuration object before it is written: for the validating webhook in a cluster
 * (docs/behaviour/webhooks.md#admission), and for the embedded API.
 * @module
 */
import { annotationFaults } from '../api/annotation-faults.ts';
import { referenceTo } from '../api/kind.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { formatFault, formatProblem, type Problem } from '../api/problem.ts';
import { bounded, printable } from '../api/text.ts';
import { type Renewal, renewals } from '../bgp/peers/peer-change.ts';
import type { BgpEngine } from '../config/config.ts';
import { foreignAddresses, foreignProblems } from '../config/foreign-addresses.ts';
import { type ConfigObjects, type ConfigResource, kindOf, type Resolved, resolveConfig } from '../config/resolve.ts';
import { unmatched } from '../config/unmatched.ts';
import { describeAnnotationFault } from '../reasons/annotations.ts';

export interface Admission {
  /** Why the object is rejected; empty if it may be written. */
  readonly refusals: readonly Problem[];
  /** Shown to the writer even if the object is admitted. */
  readonly warnings: readonly string[];
}

/** When two objects conflict, the one being written is at fault, even if it is the older one: it counts as the newest. */
const NEWEST = '9999-12-31T23:59:59Z';

/** Judges a create or an update. `stored` is what the API server holds; whether the object itself is in it does not matter. */
export function admit(
  resource: ConfigResource,
  object: KubernetesObject,
  stored: ConfigObjects,
  engine: BgpEngine = 'native',
): Admission {
  const was = resolveConfig(stored, undefined, { engine });
  const before = new Set(was.problems.map(formatProblem));
  const future = withWritten([object], resource, stored);
  const { config, problems } = resolveConfig(future, undefined, { engine });
  const isOwn = isAbout([{ resource, object }]);
  const harmed = problems.filter((problem) => !isOwn(problem) && !before.has(formatProblem(problem)));
  return {
    refusals: refusalsIn(problems.filter(isOwn)),
    warnings: shown([
      ...harmed.map((problem) => `with this change, ${formatProblem(problem)}`),
      ...annotationFaults(kindOf(resource), object.metadata).map(describeAnnotationFault),
      ...ineffective(future, { config, problems }, isOwn).map(formatFault),
      ...(resource === 'bgppeers' ? peerWarnings(object) : []),
      ...renewals(was.config.peers, config.peers).map(describeRenewal),
    ]),
  };
}

/** What is valid and does not do what its writer means. */
function ineffective(
  objects: ConfigObjects,
  { config, problems }: Pick<Resolved, 'config' | 'problems'>,
  isAsked: (of: Pick<Problem, 'object'>) => boolean,
): Problem[] {
  const { ipaddresspools = [], nodes = [], services = [] } = objects;
  const asked = ipaddresspools.filter((object) => isAsked({ object: referenceTo('IPAddressPool', object) }));
  const foreign = asked.length === 0 ? [] : foreignAddresses(nodes, services);
  return [...unmatched(objects, { problems }, isAsked), ...foreignProblems(asked, config.pools, foreign)];
}

interface Written {
  readonly resource: ConfigResource;
  readonly object: KubernetesObject;
}

/** What would be refused of several objects that are written one after the other. */
export function refusalsOf(written: readonly Written[], stored: ConfigObjects, engine: BgpEngine): Problem[] {
  let future = stored;
  for (const [resource, same] of Map.groupBy(written, ({ resource }) => resource))
    future = withWritten(
      same.map(({ object }) => object),
      resource,
      future,
    );
  return refusalsIn(resolveConfig(future, undefined, { engine }).problems.filter(isAbout(written)));
}

function withWritten(
  objects: readonly KubernetesObject[],
  resource: ConfigResource,
  stored: ConfigObjects,
): ConfigObjects {
  const others = (stored[resource] ?? []).filter(
    ({ metadata }) => !objects.some((object) => isNamed(metadata, object.metadata)),
  );
  const newest = objects.map((object, i) => {
    // Only the order of these texts counts: each is newer than the one before it.
    const creationTimestamp = `${NEWEST} ${String(i).padStart(9, '0')}`;
    return { ...object, metadata: { ...object.metadata, creationTimestamp } };
  });
  return { ...stored, [resource]: [...others, ...newest] };
}

function isAbout(written: readonly Written[]): (problem: Pick<Problem, 'object'>) => boolean {
  return ({ object: { kind, ...reference } }) =>
    written.some(({ resource, object }) => kind === kindOf(resource) && isNamed(object.metadata, reference));
}

/** Objects may be applied in any order, so a reference to one that is still missing is no reason to refuse. */
function refusalsIn(problems: readonly Problem[]): Problem[] {
  return problems.filter(({ transient }) => transient !== true).map(({ consequence: _unused, ...problem }) => problem);
}

/** Judges a deletion: a BFDProfile cannot be deleted while a BGPPeer refers to it. */
export function admitDeletion(resource: ConfigResource, object: KubernetesObject, stored: ConfigObjects): Admission {
  const { name } = object.metadata;
  const users = (stored.bgppeers ?? []).filter(
    (peer) => (peer as { spec?: { bfdProfile?: string } }).spec?.bfdProfile === name,
  );
  if (resource !== 'bfdprofiles' || users.length === 0) return { refusals: [], warnings: [] };
  const refusal: Problem = {
    object: referenceTo('BFDProfile', object),
    field: 'metadata.name',
    value: name,
    message: `BGPPeer ${users.map(({ metadata }) => metadata.name).join(', ')} refers to this BFDProfile`,
    cure: 'change spec.bfdProfile there first',
  };
  return { refusals: [refusal], warnings: [] };
}

function isNamed(a: { name: string; namespace?: string }, b: { name: string; namespace?: string }): boolean {
  return a.name === b.name && a.namespace === b.namespace;
}

/** Says before the change that it will restart BGP sessions. */
function describeRenewal({ before, after, fields }: Renewal): string {
  const isHeld = before.gracefulRestart && after.gracefulRestart;
  const meanwhile = isHeld
    ? 'routers with graceful restart keep its routes meanwhile'
    : 'its routes are withdrawn meanwhile';
  return `the BGP session of every node with ${after.name} restarts because of ${fields.join(', ')}; ${meanwhile}`;
}

function peerWarnings(object: KubernetesObject): string[] {
  const { spec } = object as { spec?: { disableMP?: boolean } };
  return spec?.disableMP === true ? ['spec.disableMP is deprecated and has no effect; remove it'] : [];
}

/** Characters of one warning; the API server shortens all of them to 256 when they are more than 4,096 together. */
const LONGEST_WARNING = 1024;

function shown(warnings: readonly string[]): string[] {
  return warnings.map((warning) => bounded(printable(warning), LONGEST_WARNING));
}
