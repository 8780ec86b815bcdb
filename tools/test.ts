/**
 * `npm test`: everything that can run here. What cannot says why. The last line counts.
 * @module
 */
import { whyNoSandbox } from '../lab/net/sandbox.ts';
import { run } from '../lab/net/shell.ts';
import { check } from './check.ts';
import { buildSite } from './site.ts';
import { testCluster } from './test-cluster.ts';
import { type Counts, single, sum, vitest } from './vitest.ts';

/** What is simulated, with the number of runs and the flags of `npm run sim`. */
const SIMULATIONS = [
  ['two controllers', 4000, '--nodes', '0'],
  ['two controllers and four speakers', 400],
  ['a network that loses a tenth', 60, '--loss', '0.1'],
  ['BGP sessions', 2000, '--bgp'],
  ['writers of objects', 3000, '--writer'],
] as const;

/** Half of the runs have the same seeds always, half those of the day (UTC): as many as 10,000 a day, far from the fixed ones. */
const SEED_OF_THE_DAY = Math.floor(Date.now() / 86_400_000) * 10_000;
const FIRST_SEEDS = [1, SEED_OF_THE_DAY];

const counts: Counts[] = [];
const notes: string[] = [];

for (const { name, passed } of await check()) counts.push(single(`check: ${name}`, passed));
counts.push(await vitest(['unit']));
for (const [what, runs, ...flags] of SIMULATIONS)
  for (const first of FIRST_SEEDS)
    counts.push(simulate(what, [...flags, '--seeds', String(runs / 2), '--first', String(first)]));
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
  return single('documentation site', trouble === undefined);
}

/** For this machine, as far as the tests of the lab start it. */
function buildImage(): Counts {
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const { status, stdout, stderr } = run([process.execPath, 'image/main.ts', architecture], { timeout: 600_000 });
  console.log(`image:\n${stdout}${status === 0 ? '' : stderr}`);
  return single('image', status === 0);
}

/** Far more runs than the unit tests have time for. */
function simulate(what: string, flags: readonly string[]): Counts {
  const { status, stdout } = run([process.execPath, 'sim/main.ts', ...flags], { timeout: 600_000 });
  console.log(`simulation of ${what} (npm run sim -- ${flags.join(' ')}): ${stdout.trim()}`);
  return single(`simulation of ${what} (npm run sim -- ${flags.join(' ')})`, status === 0);
}

const all = sum(counts);
for (const note of notes) console.log(`NOT RUN: ${note}`);
if (all.skipped > 0) console.log(`${all.skipped} tests were skipped; their names above say why`);
for (const failure of all.failures) console.log(`FAILED: ${failure}`);
console.log(`${all.passed} passed, ${all.failed} failed`);
process.exitCode = all.failed === 0 ? 0 : 1;
