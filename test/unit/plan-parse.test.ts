import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { samplePlan } from '../../src/plan/generate/sample.ts';
import { formatProblem } from '../../src/plan/problems.ts';
import { loadPlan, parsePlan } from '../../src/plan/read/parse.ts';
import { brief, goodPlan, planFile, planText } from '../plan.ts';

const parse = (body: string) => parsePlan(planText(body), planFile);
const said = (body: string) => parse(body).problems.map(brief);

const flow = (lines = '') => `
flows:
  - name: f
    from: chunks c
    to: unified
${lines}
    columns: {id: c.id}
`;

describe('a plan file', () => {
  test('in the format that users have files in means every table', () => {
    const text = `
source_database: {host: old.example.org, port: 5433, user: reader, password: 0042, database: old, ssl_mode: require}
target_database:
  host: new.example.org
  user: writer
  password: \${NEW_PASSWORD}
  database: new
migration:
  batch_size: 500
  max_retries: 5
  timeout_per_batch: 500ms
  parallel_workers: 4
  validation_level: basic
  enable_rollback: false
  backup_before_migrate: true
  dry_run: true
`;
    const { plan, problems, secrets } = parsePlan(text, '/plans/nightly.yaml');
    expect(problems).toEqual([]);
    expect(plan).toMatchObject({
      file: '/plans/nightly.yaml',
      name: 'nightly',
      source: {
        settings: {
          host: 'old.example.org',
          port: '5433',
          user: 'reader',
          database: 'old',
          ssl_mode: 'require',
        },
        passwordVariable: 'SOURCE_DATABASE_PASSWORD',
      },
      target: {
        settings: { host: 'new.example.org', user: 'writer', password: '${NEW_PASSWORD}', database: 'new' },
      },
      settings: {
        batchSize: 500,
        maxRetries: 5,
        batchTimeoutMs: 500,
        parallelWorkers: 4,
        validationLevel: 'basic',
      },
      tables: '*',
      flows: [],
      schema: [],
      dryRun: true,
      backupBeforeMigrate: true,
      allowNonEmpty: false,
    });
    expect(secrets).toEqual({ SOURCE_DATABASE_PASSWORD: '0042' });
    expect(JSON.stringify(plan)).not.toContain('0042');
  });

  test('has defaults', () => {
    const plan = goodPlan(flow());
    expect(plan.settings).toEqual({
      batchSize: 1000,
      maxRetries: 3,
      batchTimeoutMs: 30_000,
      throttle: {
        replication_lag: { limit: 60, atMostMs: 900_000 },
        disk_full: { limit: 0, atMostMs: 900_000 },
      },
      quarantineLimit: { rows: 1000, ratio: 0.01 },
      parallelWorkers: 2,
      validationLevel: 'standard',
    });
    expect(plan.tables).toEqual([]);
    expect(plan.name).toBe('test');
  });

  test.each([
    ['500ms', 500], ['30s', 30_000], ['1.5s', 1500], ['2m', 120_000], ['1h', 3_600_000],
  ])('knows that %s are %d ms', (text, ms) => {
    expect(goodPlan(`migration: {timeout_per_batch: ${text}}`).settings.batchTimeoutMs).toBe(ms);
  }); // biome-ignore format: a list

  test('may use anchors and merge keys', () => {
    const plan = goodPlan(`
tables: [&a tags, users]
flows:
  - &first {name: one, from: a, to: x, columns: &columns {id: id}}
  - {name: two, from: *a, to: x, columns: {<<: *columns, kind: 2}}
`);
    expect(plan.flows[1]).toMatchObject({ name: 'two', from: 'tags', joinRows: 'exact' });
    expect(plan.flows[1]!.outputs).toEqual([
      { name: 'two', path: [], to: 'x', columns: { id: 'id', kind: '2' } },
    ]);
  });

  test('is what generate-config prints', () => {
    const { plan, problems } = parsePlan(samplePlan(), planFile);
    expect(problems).toEqual([]);
    expect(plan).toMatchObject({ name: 'my-migration', tables: '*', dryRun: false });
    // Uncommented, the rest of the sample is valid too.
    const all = samplePlan()
      .replace(/^tables: .*$/m, '')
      .replaceAll(/^# (flows:|allow_non_empty| {2}- name| {4,})/gm, '$1');
    expect(parsePlan(all, planFile).plan?.flows[0]?.outputs[0]?.columns.kind).toBe("'chunk'");
  });

  test('that cannot be read says so', () => {
    expect(() => loadPlan('/nowhere/plan.yaml')).toThrow(/\/nowhere\/plan\.yaml does not exist/);
  });

  test('finds its schema files beside itself', () => {
    const folder = mkdtempSync(join(tmpdir(), 'rowfleet-plan-'));
    writeFileSync(join(folder, 'target.sql'), 'select 1');
    writeFileSync(join(folder, 'plan.yaml'), planText('schema: [target.sql, missing.sql]'));
    const { problems } = loadPlan(join(folder, 'plan.yaml'));
    expect(problems.map(brief)).toEqual([
      `3 schema[1] error: missing.sql does not exist | It is looked for at ${join(folder, 'missing.sql')}.`,
    ]);
    writeFileSync(join(folder, 'plan.yaml'), planText('schema: target.sql'));
    expect(loadPlan(join(folder, 'plan.yaml')).plan?.schema).toEqual([join(folder, 'target.sql')]);
    rmSync(folder, { recursive: true });
  });
});

describe('what is wrong with a plan', () => {
  test('comes in one answer, each thing with line, path and hint', () => {
    const text = `
source: postgres://h/db
migration:
  batch_sise: 10
  max_retries: many
  timeout_per_batch: 30
flows:
  - name: a
    form: chunks
    to: y
    columns:
      id: [1]
`;
    expect(parsePlan(text, planFile).problems.map(brief)).toEqual([
      '4 migration.batch_sise error: there is no key "batch_sise" | Did you mean batch_size?',
      '5 migration.max_retries error: must be a number | ',
      '6 migration.timeout_per_batch error: must be a duration such as 30s, 500ms or 2m | ',
      '8 flows[0].from error: is missing | ',
      '9 flows[0].form error: there is no key "form" | Did you mean from?',
      expect.stringMatching(/^12 flows\[0\]\.columns\.id error: must be text or a number \| Quote/),
    ]);
  });

  test('name a transform as a file, an export of it, or with settings', () => {
    const transformOf = (written: string) =>
      goodPlan(`flows: [{name: f, from: a, to: x, columns: {id: id}, transform: ${written}}]`).flows[0]!
        .outputs[0]!.transform;
    expect(transformOf('t/a.ts')).toEqual({ file: 't/a.ts', export: 'default' });
    expect(transformOf('./t/a.ts#embed')).toEqual({ file: 't/a.ts', export: 'embed' });
    const settings = 'chunk: 256, calls_per_second: 0.5, constants: {a: [1, {b: null}]}, returns: [id]';
    expect(transformOf(`{file: "a.ts#b", ${settings}}`)).toEqual({
      ...{ file: 'a.ts', export: 'b', chunk: 256, callsPerSecond: 0.5 },
      ...{ constants: { a: [1, { b: null }] }, returns: ['id'] },
    });
  });

  const cases: [what: string, body: string, expected: RegExp][] = [
    ['not YAML', 'tables: [a', /^\d+ {2}error: not YAML: /],
    ['SQL with a comma', 'flows:\n  - {name: f, from: t, to: t, columns: {id: coalesce(a, b)}}', /columns\["b\)"\] error: must be text or a number \| Quote the whole/],
    ['SQL with quotes', "flows:\n  - {name: f, from: t, to: t, columns: {id: coalesce(a, 'b')}}", /not YAML: Missing , or : .* \| Quote the whole/],
    ['a key twice', 'tables: [a]\ntables: [b]', /^4 {2}error: a key stands here a second time \|/],
    ['a key that JavaScript would lose', flow().replace('{id: c.id}', '{id: c.id, __proto__: c.id}'), /^8 {2}error: a key cannot be called __proto__/],
    ['two documents', 'tables: [a]\n---\ntables: [b]', /^\d {2}error: the file holds more than one YAML document/],
    ['rigorous', 'migration:\n  validation_level: rigorous', /^4 migration\.validation_level error: validation_level: rigorous is not built yet \| Use basic or standard\.$/],
    ['forensic', 'migration: {validation_level: forensic}', /forensic is not built yet/],
    ['another level', 'migration: {validation_level: some}', /must be basic or standard/],
    ['enable_rollback', 'migration:\n  enable_rollback: true', /^4 migration\.enable_rollback error: enable_rollback: true is not built yet/],
    ['a transform beside outputs', flow('    transform: x.ts\n    outputs: [{to: u, columns: {a: c.a}}]').replace(/\n {4}(to|columns): .*/g, ''), /flows\[0\]\.transform error: stands beside outputs/],
    ['a transform in chunks of none', flow('    transform: {file: x.ts, chunk: 0}'), /flows\[0\]\.transform.*must be/],
    ['on_conflict', flow('    on_conflict: skip'), /^7 flows\[0\]\.on_conflict error: skip needs an order/],
    ['two groupings', flow('    group_by: c.id\n    window_by: c.id'), /^8 flows\[0\]\.window_by error: group_by and window_by are both given/],
    ['join_rows without a join', flow('    join_rows: any'), /^7 flows\[0\]\.join_rows error: there is no join/],
    ['to beside outputs', flow('    outputs: [{to: u, columns: {a: c.a}}]'), /^6 flows\[0\]\.to error: stands beside outputs/],
    ['a lookup without take', flow('').replace('c.id', '{lookup: t, by: {a: c.a}}'), /columns\.id error: take is missing/],
    ['a lookup and an id map', flow('').replace('c.id', '{id_map: m, key: c.id, take: id}'), /columns\.id\.take error: does not belong here/],
    ['an order for nothing', flow('    order: c.id'), /^7 flows\[0\]\.order error: means nothing without on_conflict/],
    ['consistency', 'consistency: live', /^3 consistency error: consistency: live is not built yet/],
    ['no source', '', /^$/],
    ['an empty table list', 'tables: []', /^3 tables error: /],
    ['a table twice', 'tables:\n  - a\n  - a', /^5 tables\[1\] error: a stands in the list twice/],
    ['tables as text', 'tables: all', /^3 tables error: must be "\*" or a list of table names/],
    ['a flow twice', `${flow()}${flow().split('\n').slice(2).join('\n')}`, /^9 flows\[1\]\.name error: the flow f stands in the plan twice/],
    ['a flow without columns', flow().replace('{id: c.id}', '{}'), /flows\[0\]\.columns error: must name at least one column/],
    ['a join in from', flow().replace('chunks c', 'chunks c, texts t'), /^5 flows\[0\]\.from error: is not one table and its alias \| /],
    ['batch_size 0', 'migration: {batch_size: 0}', /must be at least 1/],
    ['half a worker', 'migration: {parallel_workers: 1.5}', /must be a whole number/],
    ['a timeout of days', 'migration: {timeout_per_batch: 48h}', /must be from 100ms to 24h/],
    ['a name with a line break', 'name: "a\\nb"', /^3 name error: must be 1 to 200 characters on one line/],
    ['null for a section', 'migration:', /^3 migration error: must be a mapping/],
  ]; // biome-ignore format: one case a line

  test.each(cases)('%s', (_, body, expected) => {
    expect(said(body).join('\n')).toMatch(expected);
  });

  test('accepts the keys that only spell out what is built', () => {
    expect(said(`consistency: window${flow('    on_conflict: error')}`)).toEqual([]);
  });

  test('reads well in a terminal', () => {
    const [first] = parse('migration: {batch_sise: 1}').problems;
    expect(formatProblem(first!)).toBe(
      '/plans/test.yaml:3 migration.batch_sise: there is no key "batch_sise"\n    Did you mean batch_size?',
    );
  });

  test('a plan without databases', () => {
    const { problems } = parsePlan('tables: [a]', planFile);
    expect(problems.map(({ message }) => message)).toEqual([
      'the plan names no source database',
      'the plan names no target database',
    ]);
    const both = parsePlan(planText('source_database: {host: h}'), planFile);
    expect(both.problems.map(({ message }) => message)).toEqual([
      'source and source_database are both given',
    ]);
    expect(parsePlan('', planFile).problems[0]!.message).toBe('the plan is empty');
    expect(parsePlan('- a', planFile).problems[0]!.message).toBe('must be a mapping');
  });
});
