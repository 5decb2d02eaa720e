import { defineConfig } from 'vitest/config';

/** Where a JSON report goes as well, for a caller that counts tests: an absolute file outside the checkout. */
const report = process.env.ROWFLEET_TEST_REPORT;

export default defineConfig({
  test: {
    reporters: [
      'default',
      './test/missing-reporter.ts',
      ...(report ? [['json', { outputFile: report }] as ['json', { outputFile: string }]] : []),
    ],
    maxWorkers: 2,
    // Forks of vitest 4 now and then end with EPIPE on a busy machine, every test passed (mended in 5, which needs Node 22).
    pool: 'threads',
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // Loading what they import anew for each file took more time than all of them. Others set their environment.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'postgres',
          include: ['test/{db,fleet,crash,examples}/**/*.test.ts'],
          globalSetup: './test/global-setup.ts',
          setupFiles: './test/own-environment.ts',
          isolate: false,
          testTimeout: 150_000,
          hookTimeout: 150_000,
        },
      },
    ],
  },
});
