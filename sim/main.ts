/**
 * `npm run sim -- [--seeds N] [--first SEED] [--nodes N] [--loss SHARE] [--bgp | --writer]`: many runs, and what went wrong in which.
 * @module
 */
import { parseArgs } from 'node:util';
import { simulateBgp } from './bgp.ts';
import { simulate } from './simulation.ts';
import { simulateWriter } from './writer.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    first: { type: 'string', default: '1' },
    // 0: the controllers alone, which is faster.
    nodes: { type: 'string', default: '4' },
    // Of the liveness messages, 0 to 1.
    loss: { type: 'string', default: '0.02' },
    // Simulates sessions with a router instead.
    bgp: { type: 'boolean', default: false },
    // Simulates the writer of API objects instead.
    writer: { type: 'boolean', default: false },
  },
});

/** One life of what was asked for. */
function run(seed: number) {
  if (values.bgp) return { failovers: [], withdrawals: [], ...simulateBgp(seed) };
  if (values.writer) return { failovers: [], withdrawals: [], ...simulateWriter(seed) };
  return simulate({ seed, nodes: Number(values.nodes), loss: Number(values.loss) });
}

const began = performance.now();
const failovers: number[] = [];
const withdrawals: number[] = [];
let bad = 0;
for (let seed = Number(values.first); seed < Number(values.first) + Number(values.seeds); seed++) {
  const report = run(seed);
  failovers.push(...report.failovers);
  withdrawals.push(...report.withdrawals);
  if (report.violations.length === 0) continue;
  bad++;
  console.log(`seed ${seed}:\n  ${report.violations.join('\n  ')}`);
  if (Number(values.seeds) === 1) console.log(report.happenings.join('\n'));
}
console.log(`${values.seeds} runs, ${bad} with violations, ${((performance.now() - began) / 1000).toFixed(1)} s`);
for (const [what, times] of [
  ['failover', failovers],
  ['withdrawal of a lost node’s routes', withdrawals],
] as const) {
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
  if (times.length > 0)
    console.log(`virtual ${what}: median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${times.at(-1)} ms`);
}
process.exitCode = bad === 0 ? 0 : 1;
