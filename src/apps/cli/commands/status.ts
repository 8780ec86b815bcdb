/**
 * `metallb status bgp`.
 * @module
 */
import type { Command } from 'commander';
import { realWallClock } from '../../../adapters/driver/clock.ts';
import { KubernetesClient } from '../../../adapters/kubernetes/client.ts';
import { Connection } from '../../../adapters/kubernetes/connection.ts';
import { collectionPath } from '../../../adapters/kubernetes/resources.ts';
import { oneLine } from '../../../core/api/text.ts';
import { sessionsOf, type ToldSession } from '../../../core/offline/explain.ts';
import { CliError } from '../errors.ts';
import { listIfAny } from '../snapshot.ts';
import { show } from '../terminal.ts';

interface Options {
  readonly kubeconfig?: string;
  readonly namespace?: string;
  readonly output?: string;
}

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('the state of the BGP sessions of all nodes; exit code 1 when one is not up')
    .argument('<what>', 'bgp')
    .option('--kubeconfig <file>', 'kubeconfig file')
    .option('--namespace <name>', 'namespace of the speakers (default: all)')
    .option('-o, --output <format>', 'json')
    .action(async (what: string, { kubeconfig, namespace, output }: Options) => {
      if (what !== 'bgp') throw new CliError(`status: there is none of ${JSON.stringify(what)}; use "bgp"`, 2);
      const client = new KubernetesClient(Connection.open(kubeconfig), 'metallb-cli');
      const objects = await listIfAny(client, collectionPath('bgpsessionstatuses', namespace));
      const sessions = sessionsOf({ bgpsessionstatuses: objects });
      show(output === 'json' ? `${JSON.stringify(sessions, null, 2)}\n` : table(sessions, realWallClock()));
      if (sessions.some(({ state }) => state !== 'Established')) process.exitCode = 1;
    });
}

const COLUMNS: readonly (readonly [title: string, of: (session: ToldSession, now: number) => string])[] = [
  ['NODE', ({ node }) => node],
  ['PEER', ({ peer }) => peer],
  ['ADDRESS', ({ address = '' }) => address],
  ['AS', ({ peerASN }) => (peerASN === undefined ? '-' : String(peerASN))],
  ['STATE', ({ state }) => state],
  ['FOR', ({ since }, now) => duration(now - Date.parse(since))],
  [
    'PREFIXES',
    ({ prefixes, wantedPrefixes }) =>
      prefixes === wantedPrefixes ? `${prefixes}` : `${prefixes} of ${wantedPrefixes}`,
  ],
  ['FAMILIES', ({ families = [] }) => families.join(',') || '-'],
  ['BFD', ({ bfd }) => bfd],
  ['LAST ERROR', ({ lastError = '' }) => lastError],
];

/** `now` in milliseconds since 1970. */
function table(sessions: readonly ToldSession[], now: number): string {
  if (sessions.length === 0)
    return 'no speaker reports a BGP session: no BGPPeer selects a node, or the speaker there is not running\n';
  const rows = [
    COLUMNS.map(([title]) => title),
    ...sessions.map((session) => COLUMNS.map(([, of]) => oneLine(of(session, now)))),
  ];
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** As kubectl writes ages: the two greatest units at most. */
function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
