/**
 * `metallb doctor`: is this node fit for a speaker?
 * @module
 */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { realClock, realWallClock, sleep } from '../../../adapters/driver/clock.ts';
import { readExcludeFile } from '../../../adapters/files/exclude-file.ts';
import { KubernetesClient } from '../../../adapters/kubernetes/client.ts';
import { Connection } from '../../../adapters/kubernetes/connection.ts';
import { collectionPath } from '../../../adapters/kubernetes/resources.ts';
import { readNodeFacts } from '../../../adapters/linux/node-facts.ts';
import { readLinks } from '../../../adapters/wire/links.ts';
import { askForAddress, lendAddress } from '../../../adapters/wire/neighbour-test.ts';
import { readAddresses } from '../../../adapters/wire/node-addresses.ts';
import { oneLine } from '../../../core/api/text.ts';
import { resolveConfig } from '../../../core/config/resolve.ts';
import {
  examineAnswers,
  examineNode,
  type Finding,
  type NodeFacts,
  type Verdict,
} from '../../../core/doctor/checks.ts';
import { formatAddress, type IpAddress, parseAddress } from '../../../core/net/address.ts';
import { formatMac } from '../../../core/net/mac.ts';
import { untilSignal } from '../common.ts';
import { CliError } from '../errors.ts';
import { complain, show } from '../terminal.ts';

interface Options {
  readonly kubeconfig?: string;
  readonly mlBindport: string;
  readonly output?: string;
  readonly lend?: string;
  readonly ask?: string;
}

const MARKS: Readonly<Record<Verdict, string>> = { good: '✔', warning: '!', problem: '✘', unknown: '?' };

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description(
      'is this node fit for a speaker? each finding with its cure; run it on the node, the way the speaker runs',
    )
    .option('--kubeconfig <file>', 'kubeconfig file, for what only the API server knows')
    .option('--ml-bindport <port>', 'port of the liveness messages', '7946')
    .option('-o, --output <format>', 'json')
    .option('--lend <address>', 'answer for this free address for a minute, so that --ask on another node can see it')
    .option(
      '--ask <address>',
      'who answers for this address? with --lend on another node: does the network between allow it?',
    )
    .action(async ({ kubeconfig, mlBindport, output, lend, ask }: Options) => {
      if (lend !== undefined) return lendFor(MINUTE, addressOption('--lend', lend));
      if (ask !== undefined) return askFor(addressOption('--ask', ask));
      const links = readLinks(readExcludeFile());
      const facts = {
        ...readNodeFacts(links, Number(mlBindport)),
        network: { addresses: readAddresses(), gateways: links.gateways },
        ...(await askServer(kubeconfig)),
      };
      const findings = examineNode(facts);
      show(output === 'json' ? `${JSON.stringify(findings, null, 2)}\n` : forPeople(findings));
      process.exitCode = findings.some(({ verdict }) => verdict === 'problem') ? 1 : 0;
    });
}

const MINUTE = 60_000;

function addressOption(flag: string, text: string): IpAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new CliError(`${flag}: ${JSON.stringify(text)} is not an IP address`, 2);
  return address;
}

async function lendFor(milliseconds: number, address: IpAddress): Promise<void> {
  const excludeLinks = readExcludeFile();
  const { fit } = readLinks(excludeLinks);
  const names = fit.map(({ name, mac }) => `${name} (${formatMac(mac)})`).join(', ');
  if (fit.length === 0) throw new CliError('no link is fit to announce on; metallb doctor says why');
  const taken = askForAddress(address, fit);
  if (taken.length > 0)
    throw new CliError(
      `--lend: ${formatAddress(address)} belongs to ${taken[0]!.mac} on ${taken[0]!.link}; choose a free address`,
    );
  const stop = lendAddress(address, excludeLinks, (message) => complain(`${message}\n`));
  show(
    `answering for ${formatAddress(address)} on ${names} for a minute; on another node: metallb doctor --ask ${formatAddress(address)}\n`,
  );
  await Promise.race([untilSignal(), sleep(realClock({ unref: true }), milliseconds)]);
  await stop();
}

function askFor(address: IpAddress): void {
  const { fit } = readLinks(readExcludeFile());
  const finding = examineAnswers(
    formatAddress(address),
    fit.map(({ name }) => name),
    askForAddress(address, fit),
  );
  show(forPeople([finding]));
  process.exitCode = finding.verdict === 'good' ? 0 : 1;
}

/** Without an API server its checks are unknown; the others are unaffected. */
async function askServer(
  kubeconfig: string | undefined,
): Promise<Pick<NodeFacts, 'clockAhead' | 'serviceLb' | 'pools'>> {
  try {
    const client = new KubernetesClient(Connection.open(kubeconfig), 'metallb-doctor');
    const path = collectionPath('pods');
    const query = { labelSelector: 'svccontroller.k3s.cattle.io/svcname' };
    const pods = await client.list(path, query);
    const pools = await readPools(client);
    const before = realWallClock();
    const date = await client.serverTime();
    const middle = (before + realWallClock()) / 2;
    return {
      clockAhead: date === undefined ? undefined : (middle - date) / 1000,
      serviceLb: pods.map(({ metadata }) => metadata.name),
      pools,
    };
  } catch {
    return { clockAhead: undefined, serviceLb: undefined, pools: undefined };
  }
}

/** Those in force, of all namespaces; undefined where there is no such kind, or where it must not be read. */
async function readPools(client: KubernetesClient): Promise<NodeFacts['pools']> {
  try {
    const ipaddresspools = await client.list(collectionPath('ipaddresspools'));
    return resolveConfig({ ipaddresspools }).config.pools;
  } catch {
    return undefined;
  }
}

function forPeople(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ check, verdict, detail, cure }) => [
    `${MARKS[verdict]} ${check}: ${oneLine(detail)}`,
    ...(cure === undefined ? [] : [`    ${oneLine(cure)}`]),
  ]);
  const count = findings.filter(({ verdict }) => verdict === 'problem').length;
  const end = count === 0 ? 'nothing keeps a speaker from working' : `${count} problem${count === 1 ? '' : 's'}`;
  return `${[`Node ${hostname()}`, ...lines, end].join('\n')}\n`;
}
