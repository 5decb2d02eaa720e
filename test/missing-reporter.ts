import type { Reporter, TestModule } from 'vitest/node';
import { missingIn } from './requirements.ts';

/** Says at the end of a run, where nobody overlooks it, which suites could not be run here and what to install. */
export default class MissingReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    const lines = modules.flatMap((module) =>
      [...module.children.allSuites()].flatMap((suite) => {
        const missing = suite.state() === 'skipped' ? missingIn(suite.name) : undefined;
        return missing ? [`  ${module.relativeModuleId}: ${suite.name}\n      ${missing}`] : [];
      }),
    );
    if (lines.length === 0) return;
    console.log(`\nNOT RUN, because something is missing here:\n${lines.join('\n')}\n`);
  }
}
