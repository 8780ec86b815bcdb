/**
 * `npm test`: everything that can run here. What cannot says why. The last line counts.
 * @module
 */
import { whyNoSandbox } from '../lab/net/sandbox.ts';
import { run } from '../lab/net/shell.ts';
import { check } from './check.ts';
import { buildSite } from './site.ts';
import { testCluster } from './test-cluster.ts';
import { type Counts, vitest } from './vitest.ts';

/** What is simulated, with the flags of `npm run sim`. */
const SIMULATIONS = [
  ['two controllers', '--seeds', '10000', '--nodes', '0'],
  ['two controllers and four speakers', '--seeds', '1000'],
  ['BGP sessions', '--bgp', '--seeds', '3000'],
  ['writers of objects', '--writer', '--seeds', '3000'],
] as const;

const counts: Counts[] = [];
const notes: string[] = [];

for (const { passed } of await check()) counts.push({ passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 });
counts.push(await vitest(['unit']));
for (const [what, ...flags] of SIMULATIONS) counts.push(simulate(what, flags));
if (run(['sh', '-c', 'command -v kubectl']).status === 0) counts.push(await vitest(['system']));
else
  notes.push(
    'the tests in test/system did not run: there is no kubectl here (Debian: apt-get install kubernetes-client)',
  );
if (run(['sh', '-c', 'command -v apt-get']).status === 0) counts.push(buildImage());
else notes.push('the image was not built: its base are Debian packages, and there is no apt-get here');
counts.push(site());
const obstacle = whyNoSandbox();
if (obstacle === undefined) counts.push(await vitest(['lab'], true));
else notes.push(`the tests in test/lab did not run: ${obstacle}`);

if (process.argv.includes('--cluster')) {
  const cluster = await testCluster();
  if (typeof cluster === 'string') notes.push(`the suites on a real API server did not run: ${cluster}`);
  else counts.push(cluster);
}

function site(): Counts {
  const trouble = buildSite();
  console.log(
    trouble === undefined ? 'documentation site: built, every link leads somewhere' : `documentation site: ${trouble}`,
  );
  return { passed: trouble === undefined ? 1 : 0, failed: trouble === undefined ? 0 : 1, skipped: 0 };
}

/** For this machine, as far as the tests of the lab start it. */
function buildImage(): Counts {
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const { status, stdout, stderr } = run([process.execPath, 'image/main.ts', architecture], { timeout: 600_000 });
  console.log(`image:\n${stdout}${status === 0 ? '' : stderr}`);
  return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 };
}

/** Far more runs than the unit tests have time for. */
function simulate(what: string, flags: readonly string[]): Counts {
  const { status, stdout } = run([process.execPath, 'sim/main.ts', ...flags], { timeout: 600_000 });
  console.log(`simulation of ${what}: ${stdout.trim()}`);
  return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 };
}

const sum = (key: keyof Counts) => counts.reduce((total, item) => total + item[key], 0);
for (const note of notes) console.log(`NOT RUN: ${note}`);
if (sum('skipped') > 0) console.log(`${sum('skipped')} tests were skipped; their names above say why`);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') === 0 ? 0 : 1;
