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
    // Files share what they import: loading it anew for each took more time than all unit tests.
    isolate: false,
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'postgres',
          include: ['test/{db,fleet,crash,examples}/**/*.test.ts'],
          globalSetup: './test/global-setup.ts',
          setupFiles: './test/own-environment.ts',
          testTimeout: 150_000,
          hookTimeout: 150_000,
        },
      },
    ],
  },
});
