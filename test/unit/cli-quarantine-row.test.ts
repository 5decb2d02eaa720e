import { expect, test } from 'vitest';
import { renderRow } from '../../ops/cli/render/quarantine.ts';
import type { QuarantinedRow } from '../../src/ledger/read-quarantine.ts';

const group: QuarantinedRow = {
  ...{ id: '3', runId: '1', flow: 'total', relation: 'public.total', state: 'held' },
  ...{ stage: 'constraint', code: '23514', constraint: 'positive', message: 'check violation' },
  ...{ revision: 1, attempt: 2, taskId: '7', outputs: 1, driving: 12, rowsIn: null, sealedWith: null },
  ...{ quarantinedAt: new Date(0), history: [] },
  values: {
    sourceKey: { 'l.customer': null, 'l.rate': '2' },
    sourceRow: Array.from({ length: 12 }, (_, i) => ({ id: i })),
    targetRows: [{ total: '-5' }],
    ...{ edited: null, trace: null },
  },
};

test('a group shows its whole key, how many rows it holds, and the first of them', () => {
  const lines = renderRow(group, '', false);
  expect(lines).toContain('  key       l.customer=NULL l.rate=2');
  expect(lines).toContain('  holds     12 rows of the source, set aside together');
  expect(lines.filter((line) => line.startsWith('    id = '))).toHaveLength(10);
  expect(lines).toContain('    … and 2 more rows, all in an export');
  const [one] = group.values!.sourceRow as Record<string, unknown>[];
  const row = { ...group, driving: 1, values: { ...group.values!, sourceRow: one! } };
  expect(renderRow(row, '', false).join('\n')).not.toMatch(/holds|more row|group/);
});
