import { defineConfig } from 'vitest/config';

/**
 * One project for each kind of reality (see CONTRIBUTING.md): unit and traces touch nothing real,
 * protocol uses real TCP with scripted peers, integration real servers, containers a real engine.
 */
export default defineConfig({
  test: {
    projects: [
      // Properties run hundreds of cases: a loaded machine needs longer than the usual 5 s.
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 30_000 } },
      { test: { name: 'traces', include: ['test/traces/**/*.test.ts'] } },
      {
        test: { name: 'protocol', include: ['test/protocol/**/*.test.ts'], testTimeout: 20_000 },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          // Every file owns a whole replication cluster; two cores carry two of them.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'containers',
          include: ['test/containers/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          maxWorkers: 1,
        },
      },
    ],
  },
});
