import { defineConfig } from 'vitest/config';

// `unit` needs nothing but Node and is the quick loop; `system` starts processes, sockets and namespaces.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'sim/**/*.test.ts',
            'test/architecture/**/*.test.ts',
            'test/replay/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
