/**
 * `metallb explain service NAMESPACE/NAME`.
 * @module
 */

import type { Command } from 'commander';
import { sha256 } from '../../../adapters/sha256.ts';
import { formatProblem } from '../../../core/api/problem.ts';
import { oneLine } from '../../../core/api/text.ts';
import { type Explanation, endpointCount, explainService } from '../../../core/offline/explain.ts';
import { describeCheck } from '../../../core/reasons/allocation.ts';
import { BGP_VERDICTS, NODE_VERDICTS } from '../../../core/reasons/reasons.ts';
import { CliError } from '../errors.ts';
import { isTrue } from '../flags.ts';
import { openView, type SnapshotOptions } from '../snapshot.ts';
import { show } from '../terminal.ts';

interface Options extends SnapshotOptions {
  readonly lbClass: string;
  readonly shareAcrossNamespaces: string;
  readonly output?: string;
}

export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('why a Service has its address, or none, and who announces it')
    .argument('<kind>', 'service')
    .argument('<name>', 'NAMESPACE/NAME')
    .option('--kubeconfig <file>', 'kubeconfig file')
    .option('--namespace <name>', 'namespace of the configuration (default: all)')
    .option('--lb-class <class>', 'the controller’s --lb-class', '')
    .option('--share-across-namespaces <boolean>', 'the controller’s --share-across-namespaces', 'true')
    .option('--dump <files...>', 'read the cluster from files (- is standard input) instead of the API server')
    .option('-o, --output <format>', 'json')
    .action(async (kind: string, name: string, options: Options) => {
      if (kind !== 'service' && kind !== 'svc')
        throw new CliError(`explain: ${JSON.stringify(kind)} cannot be explained; use "service"`, 2);
      const key = name.includes('/') ? name : `default/${name}`;
      const { snapshot, hidden } = await openView(options, key.slice(0, key.indexOf('/')));
      const explanation = explainService(snapshot, key, options.lbClass, sha256, {
        namespace: options.namespace,
        hidden,
        shareAcrossNamespaces: isTrue('share-across-namespaces', options.shareAcrossNamespaces),
      });
      if (explanation === undefined) throw new CliError(`explain: there is no Service ${key}`);
      const text =
        options.output === 'json'
          ? JSON.stringify(forJson(explanation), null, 2)
          : forPeople(explanation, endpointCount(snapshot, key));
      show(`${text}\n`);
    });
}

function forJson(explanation: Explanation): object {
  const { pools, election, elections, problems, ...rest } = explanation;
  return {
    ...rest,
    pools: pools.map((check) => ({ pool: check.pool, verdict: check.verdict, text: describeCheck(check, 'operator') })),
    nodes: election?.checks.map((check) => ({ ...check, text: NODE_VERDICTS[check.verdict] })),
    owner: election?.owner,
    ...(elections.length > 1 && {
      owners: elections.map(({ addresses, election: { owner } }) => ({ addresses, owner })),
    }),
    problems,
  };
}

function forPeople(
  {
    service,
    addresses,
    told,
    pools,
    elections,
    bgp,
    announcers,
    sessions,
    unheard,
    problems,
    hidden,
    idleAnnotations,
  }: Explanation,
  endpoints: number,
): string {
  const lines = [`Service ${service}: ${addresses.length > 0 ? addresses.join(', ') : 'no address'}`];
  const section = (title: string, items: readonly string[]) => {
    if (items.length > 0) lines.push('', `${title}:`, ...items.map((item) => `  ${oneLine(item)}`));
  };
  section(
    'What the controller says',
    told.map(({ reason, message }) => `${reason}: ${message}`),
  );
  section(
    'Pools',
    pools.map((check) => describeCheck(check, 'operator')),
  );
  for (const { addresses: some, election, holder } of elections) {
    const of = elections.length > 1 ? `${some.join(', ')}; ` : '';
    const isForOthers = holder !== undefined && election.owner === undefined;
    section(`Layer 2 (${of}${endpoints} endpoint${endpoints === 1 ? '' : 's'}; speakers assumed alive)`, [
      ...election.checks.map(({ node, verdict }) => `${node}: ${NODE_VERDICTS[verdict]}`),
      ...(isForOthers ? [`${holder} announces the address for other Services that share it`] : []),
    ]);
  }
  section('BGP', [
    ...(unheard ? ['no router learns of it: none of these nodes has a session with any of these routers'] : []),
    ...bgp.map(({ node, verdict, prefixes, peers }) => {
      if (verdict !== 'announced') return `${node}: ${BGP_VERDICTS[verdict]}`;
      const to = peers.join(', ') || 'nobody: no BGPPeer that the BGPAdvertisement names selects the node';
      return `${node}: announces ${prefixes.join(', ')} to ${to}`;
    }),
  ]);
  section('Routes', describeTold(bgp));
  if (bgp.length > 0)
    section(
      'Sessions that are not up (BGPSessionStatus)',
      sessions
        .filter(({ state }) => state !== 'Established')
        .map(({ node, peer, lastError = 'it has not been tried yet' }) => `${node} with ${peer}: ${lastError}`),
    );
  section(
    'What the speakers say (ServiceL2Status)',
    announcers.flatMap(({ node, interfaces, since, troubles }) => [
      `${node} announces it on ${interfaces.join(', ') || 'every link'} since ${since}`,
      ...troubles,
    ]),
  );
  section('Configuration that is set aside', problems.map(formatProblem));
  section('Annotations that do nothing', idleAnnotations);
  section('Left out, because you may not list all of these', hidden);
  return lines.join('\n');
}

/** One line for what is the same for several nodes and routers. */
function describeTold(bgp: Explanation['bgp']): string[] {
  const lines = new Map<string, { nodes: Set<string>; peers: Set<string> }>();
  for (const { node, routes } of bgp)
    for (const { peer, prefix, attributes, whyNot } of routes) {
      const what = whyNot === undefined ? attributes!.join(', ') || 'no attributes of its own' : `not sent: ${whyNot}`;
      const line = lines.get(`${prefix}: ${what}`) ?? { nodes: new Set(), peers: new Set() };
      line.nodes.add(node);
      line.peers.add(peer);
      lines.set(`${prefix}: ${what}`, line);
    }
  return [...lines].map(([text, { nodes, peers }]) => `${text} (${[...nodes].join(', ')} to ${[...peers].join(', ')})`);
}
