/**
 * `npm run bench [-- NAME …]`: all benches, or those named. Prints Markdown tables; docs/benchmarks.md holds a run.
 * @module
 */
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { findTool, HELM, METALLB_CONTROLLER, METALLB_SPEAKER } from '../lab/kubernetes/go-tool.ts';
import { findBinaries } from '../lab/kubernetes/real-api.ts';
import { runInside, whyNoSandbox } from '../lab/net/sandbox.ts';
import { benchAdmission } from './admission.ts';
import { benchAllocate } from './allocate.ts';
import { benchCompare } from './compare.ts';
import { benchDecide } from './decide.ts';
import { benchFootprint } from './footprint.ts';
import { benchIpam } from './ipam.ts';
import { benchList } from './list.ts';
import { benchLiveness } from './liveness.ts';
import { benchParse } from './parse.ts';

const BENCHES: Readonly<Record<string, () => Promise<void>>> = {
  ipam: benchIpam,
  parse: benchParse,
  list: benchList,
  footprint: benchFootprint,
  decide: benchDecide,
  compare: benchCompare,
  allocate: benchAllocate,
  admission: benchAdmission,
  liveness: benchLiveness,
  arp: () => inSandbox('arp'),
  bgp: () => inSandbox('bgp'),
  withdrawal: () => inSandbox('withdrawal'),
  serve: () => inSandbox('serve'),
  failover: () => {
    if (canRunMetalLb()) process.env.METALLB_LAB_API = 'real';
    return inSandbox('failover');
  },
};

/** Its programs, a real API server and Helm are here, or could be built: a sandbox reaches nobody. */
function canRunMetalLb(): boolean {
  const found = [findBinaries(), ...[HELM, METALLB_CONTROLLER, METALLB_SPEAKER].map(findTool)];
  return found.every((tool) => typeof tool !== 'string');
}

async function inSandbox(name: string): Promise<void> {
  const obstacle = whyNoSandbox();
  if (obstacle !== undefined) console.log(`\n${name} did not run: ${obstacle}`);
  else await runInside(join(import.meta.dirname, `${name}.ts`), []);
}

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(BENCHES);
console.log(
  `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, load ${loadavg()[0]!.toFixed(2)} at the start`,
);
for (const name of wanted) {
  const bench = BENCHES[name];
  if (bench === undefined) {
    console.error(`bench: there is no ${name}; use ${Object.keys(BENCHES).join(', ')}`);
    process.exitCode = 2;
  } else await bench();
}
process.exit();
