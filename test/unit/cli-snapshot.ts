import type { FlowProgress, ProgressSnapshot } from '../../src/progress/types.ts';

/** A flow that copies, half done. */
export function aFlow(part: Partial<FlowProgress> = {}): FlowProgress {
  return {
    name: 'chunks',
    target: 'public.unified_chunks',
    state: 'copying',
    estimatedRows: 1_000_000,
    rows: 490_000,
    rowsInFlight: 10_000,
    bytes: 50_000_000,
    bytesInFlight: 1_000_000,
    rowsPerSecond: 98_120,
    bytesPerSecond: 9_500_000,
    batches: { waiting: 2, running: 4, done: 12, failed: 0 },
    follows: false,
    waitsFor: [],
    fraction: 0.5,
    ...part,
  };
}

/** A run in its copy phase. */
export function aSnapshot(part: Partial<ProgressSnapshot> = {}): ProgressSnapshot {
  const flows = part.flows ?? [aFlow()];
  return {
    at: new Date('2026-03-01T12:04:31Z'),
    run: {
      id: '12',
      name: 'unified-chunks',
      kind: 'migrate',
      state: 'running',
      phase: 'copy',
      revision: 1,
      planFile: '/plans/plan.yaml',
      waiting: null,
      error: null,
      createdAt: new Date('2026-03-01T12:03:08Z'),
      endedAt: null,
      elapsedSeconds: 83,
      findings: 0,
      quarantined: 0,
      settings: {},
      heldBy: null,
    },
    waiting: null,
    holds: [],
    overall: {
      rows: 490_000,
      estimatedRows: 1_000_000,
      rowsInFlight: 10_000,
      bytes: 50_000_000,
      rowsPerSecond: 98_120,
      bytesPerSecond: 9_500_000,
      batches: { waiting: 2, running: 4, done: 12, failed: 0 },
      copySeconds: 60,
      fraction: 0.32,
      eta: { seconds: 45 },
    },
    builds: [],
    checks: [],
    troubled: [],
    attempts: [],
    workers: [],
    events: [],
    ...part,
    flows,
  };
}
