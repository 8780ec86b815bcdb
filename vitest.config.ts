import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const slow = { testTimeout: 90_000, hookTimeout: 90_000, fileParallelism: false };

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
          include: ['src/**/*.test.ts', 'sim/**/*.test.ts', 'test/{architecture,replay,unit}/**/*.test.ts'],
          testTimeout: 30_000,
        },
      },
      { test: { name: 'system', include: ['test/system/**/*.test.ts'], ...slow } },
      { test: { name: 'lab', include: ['test/lab/**/*.test.ts'], ...slow } },
    ],
  },
});
