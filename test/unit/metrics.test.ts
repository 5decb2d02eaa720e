import { expect, test } from 'vitest';
import { createMetrics, serveMetrics } from '../../src/metrics.ts';

test('a process serves what it counted, and nothing else', async () => {
  const metrics = createMetrics('loader');
  metrics.rows.inc(1200);
  metrics.batches.inc({ outcome: 'done' }, 2);
  metrics.batchSeconds.observe({ outcome: 'done' }, 3);
  const server = await serveMetrics(metrics.registry, 0);
  try {
    const text = await (await fetch(server.url)).text();
    expect(text).toContain('rowfleet_copied_rows_total{process="loader"} 1200');
    expect(text).toContain('rowfleet_batches_total{outcome="done",process="loader"} 2');
    expect(text).toContain(
      'rowfleet_batch_duration_seconds_bucket{le="4",process="loader",outcome="done"} 1',
    );
    expect(text).toContain('process_resident_memory_bytes');
    expect((await fetch(new URL('/', server.url))).status).toBe(404);
    const port = Number(new URL(server.url).port);
    await expect(serveMetrics(metrics.registry, port)).rejects.toMatchObject({
      code: 'METRICS_PORT',
      kind: 'usage',
    });
  } finally {
    await server.close();
  }
});

test('every name carries its unit and a help text', async () => {
  const own = (await createMetrics('loader').registry.getMetricsAsJSON()).filter((one) =>
    one.name.startsWith('rowfleet_'),
  );
  expect(own.length).toBe(6);
  for (const { name, help } of own) {
    expect(name).toMatch(/^rowfleet_[a-z_]+_(total|seconds)$/);
    expect(help).toMatch(/\.$/);
  }
});
