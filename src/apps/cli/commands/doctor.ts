/**
 * `metallb doctor`: is this node fit for a speaker?
 * @module
 */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { readExcludeFile } from '../../../adapters/files/exclude-file.ts';
import { KubernetesClient } from '../../../adapters/kubernetes/client.ts';
import { Connection } from '../../../adapters/kubernetes/connection.ts';
import { collectionPath } from '../../../adapters/kubernetes/resources.ts';
import { readNodeFacts } from '../../../adapters/linux/node-facts.ts';
import { examineNode, type Finding, type NodeFacts, type Verdict } from '../../../core/doctor/checks.ts';

interface Options {
  readonly kubeconfig?: string;
  readonly mlBindport: string;
  readonly output?: string;
}

const MARKS: Readonly<Record<Verdict, string>> = { good: '✔', warning: '!', problem: '✘', unknown: '?' };

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description(
      'is this node fit for a speaker? each finding with its cure; to be run on the node, as the speaker runs',
    )
    .option('--kubeconfig <file>', 'kubeconfig file, for what only the API server knows')
    .option('--ml-bindport <port>', 'port of the liveness messages', '7946')
    .option('-o, --output <format>', 'json')
    .action(async ({ kubeconfig, mlBindport, output }: Options) => {
      const facts = {
        ...readNodeFacts(readExcludeFile(), Number(mlBindport)),
        ...(await askServer(kubeconfig)),
      };
      const findings = examineNode(facts);
      process.stdout.write(output === 'json' ? `${JSON.stringify(findings, null, 2)}\n` : forPeople(findings));
      process.exitCode = findings.some(({ verdict }) => verdict === 'problem') ? 1 : 0;
    });
}

/** Without an API server its part is unknown, and the rest is as good as ever. */
async function askServer(kubeconfig: string | undefined): Promise<Pick<NodeFacts, 'clockAhead' | 'serviceLb'>> {
  try {
    const client = new KubernetesClient(Connection.open(kubeconfig), 'metallb-doctor');
    const path = collectionPath('pods');
    const query = { labelSelector: 'svccontroller.k3s.cattle.io/svcname' };
    const pods = await client.list(path, query);
    const before = Date.now();
    const date = await client.serverTime();
    const middle = (before + Date.now()) / 2;
    return {
      clockAhead: date === undefined ? undefined : (middle - date) / 1000,
      serviceLb: pods.map(({ metadata }) => metadata.name),
    };
  } catch {
    return { clockAhead: undefined, serviceLb: undefined };
  }
}

function forPeople(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ check, verdict, detail, cure }) => [
    `${MARKS[verdict]} ${check}: ${detail}`,
    ...(cure === undefined ? [] : [`    ${cure}`]),
  ]);
  const count = findings.filter(({ verdict }) => verdict === 'problem').length;
  const end = count === 0 ? 'nothing keeps a speaker from its work' : `${count} problem${count === 1 ? '' : 's'}`;
  return `${[`Node ${hostname()}`, ...lines, end].join('\n')}\n`;
}
