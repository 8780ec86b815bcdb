import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Milliseconds for a test that never ends. No test is judged by how long it takes: lab/net/waiting.ts says when to give up. */
const LAST_RESORT = 1_800_000;
const patient = { testTimeout: LAST_RESORT, hookTimeout: LAST_RESORT, teardownTimeout: 60_000 };
const slow = { ...patient, fileParallelism: false };

// `unit` needs nothing but Node and is the quick loop. `system` starts processes and talks to them by kubectl. `lab`
// builds networks and has to run inside a sandbox (tools/vitest.ts).
export default defineConfig({
  test: {
    // All cores of a small machine, where the default leaves one to an editor.
    maxWorkers: availableParallelism(),
    projects: [
      {
        test: {
          name: 'unit',
          // Modules are read once for all files of a worker: with one environment for each file, reading them takes longer than the tests.
          isolate: false,
          include: ['src/**/*.test.ts', 'sim/**/*.test.ts', 'test/{architecture,replay,unit}/**/*.test.ts'],
          ...patient,
        },
      },
      { test: { name: 'system', include: ['test/system/**/*.test.ts'], ...slow } },
      { test: { name: 'lab', include: ['test/lab/**/*.test.ts'], ...slow } },
    ],
  },
});
