import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import { resolvePlan } from '../../src/plan/resolve/resolve.ts';
import { brief, goodPlan, resolveBody } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let target: TestDatabase;

beforeAll(async () => {
  [source, target] = await Promise.all([createDatabase(15), createDatabase(18)]);
  await source.exec(`
    create table orders (id int primary key, customer_id int, total numeric(8, 2), placed timestamptz, note text);
    create table customers (id int primary key, full_name text, "Region" text);
    create schema other;
    create table other.settings (key text, value text);
    create function other.slug(t text) returns text language sql immutable as 'select lower(t)';
    create function either(int) returns int language sql volatile as 'select $1';
    create function either(text) returns text language sql stable as 'select $1';
    create function fresh() returns uuid language sql as 'select gen_random_uuid()';
    create function pieces(t text) returns setof text language sql immutable as 'select t';
    create aggregate most (int) (sfunc = int4larger, stype = int);
    create sequence s;
  `);
  await target.exec('create table t (v text, w text, n bigint)');
});

afterAll(async () => {
  await Promise.all([source.drop(), target.drop()]);
});

/** What is said of a flow whose column `v` is this expression, without its line. */
async function said(expression: string, more = ''): Promise<string> {
  const body = `
flows:
  - name: f
    from: orders o
${more}
    to: t
    columns:
      v: ${JSON.stringify(expression)}`;
  const { problems } = await resolveBody(source, target, body);
  return problems.map((problem) => brief(problem).replace(/^\d+ flows\[0\]\./, '')).join('\n');
}

describe('functions that give another value each time', () => {
  test.each<[string, RegExp]>([
    ["'x' || random()", /^columns\.v error: random\(\) gives another value each time, so the validator could never agree \(character 8\) \| Write the value itself, or let the target column have it as its default/],
    ['gen_random_uuid()::text', /gen_random_uuid\(\) gives another value.*\(character 1\)/],
    ['pg_catalog.clock_timestamp()::text', /clock_timestamp\(\) gives another value/],
    ["nextval('s')::text", /nextval\(\) gives/],
    ['now()::text', /now\(\) gives another value.*\(character 1\)/],
    ['age(o.placed)::text', /age\(\) gives another value/],
    ["(current_date || '')", /current_date gives another value.*\(character 2\)/],
    ['fresh()::text', /fresh\(\) gives.*\| It is volatile\. If it gives the same for a row every time, say so: alter function public\.fresh\(\) stable;/],
    ['(select max(random()) from customers)::text', /random\(\) gives another value/],
  ])('%s is refused', async (expression, expected) => {
    expect(await said(expression)).toMatch(expected);
  }); // biome-ignore format: one case a line

  test.each(['either(o.note)', 'age(o.placed, o.placed)::text', 'other.slug(o.note)', "'now()'"])(
    '%s is not',
    async (expression) => {
      expect(await said(expression)).toBe('');
    },
  );

  test('neither in a condition nor in a join', async () => {
    expect(await said('o.note', "    where: o.placed > now() - interval '1 day'")).toMatch(
      /^where error: now\(\) gives another value.*\(character 12\) \| Write the value itself\.$/,
    );
    expect(
      await said('o.note', '    join: join customers c on c.id = o.customer_id and random() < 2'),
    ).toMatch(/^join error: random\(\) gives another value.*\(character 46\)/);
  });
});

describe('what sees more than one row', () => {
  const grouped = '    group_by: o.customer_id';
  const windowed = '    window_by: o.customer_id';

  test.each<[string, string, RegExp]>([
    ['most(o.id)::text', '', /^columns\.v error: most is an aggregate, which would see one batch at a time \(character 1\) \| Declare group_by/],
    ["'a' || string_agg(o.note, ',' order by o.id)", '', /string_agg is an aggregate.*\(character 8\)/],
    ['(sum(o.id) over (order by o.id))::text', '', /sum over \(…\) is a window function.*\(character 2\)/],
    ['(select max(o.id) from customers)::text', '', /it is an aggregate over the batch/],
    ['pieces(o.note)', '', /it may give several rows \(character 1\)/],
    ['(select most(id) from customers)::text', '', /^$/],
    ['most(o.id)::text', grouped, /^group_by warning: [^\n]*$/],
    ['(most(o.id) over ())::text', grouped, /most over \(…\) is a window function/],
    ["string_agg(o.note, ',')", grouped, /^columns\.v warning: string_agg takes rows in the server’s order.*\(character 1\) \| Say which/m],
    ["string_agg(o.note, ',' order by o.id)", grouped, /^group_by warning: [^\n]*$/],
    ['o.note', grouped, /column "o\.note" must appear in the GROUP BY clause.*\(character 1\)/],
    ['(row_number() over (partition by o.customer_id order by o.id))::text', windowed, /^window_by warning: [^\n]*$/],
    ['(row_number() over (partition by o.note, o.id))::text', windowed, /PARTITION BY lacks o\.customer_id \(character 2\) \| Name all of window_by: over \(partition by o\.customer_id …\)\./],
    ['most(o.id)::text', windowed, /most is an aggregate.*\| Give it a window: over \(partition by o\.customer_id\)/],
  ])('%s %s', async (expression, more, expected) => {
    expect(await said(expression, more)).toMatch(expected);
  }); // biome-ignore format: one case a line

  test('what rows are grouped by is held to its place as well', async () => {
    expect(await said("'x'", '    group_by: [o.customer_id, "max(o.id)"]')).toMatch(
      /^group_by\[1\] error: max is an aggregate/,
    );
    expect(await said("'x'", '    group_by: o.custommer_id')).toMatch(
      /^group_by error: .*does not exist \(character 1\) \| Did you mean o\.customer_id\?$/,
    );
  });
});

describe('a name that does not exist', () => {
  const join = '    join: left join customers c on c.id = o.customer_id';
  test.each<[string, string, string, RegExp]>([
    ['a column', "'nö' || o.notte", '', /^columns\.v error: PostgreSQL says: column o\.notte does not exist \(character 9\) \| Did you mean o\.note\?$/],
    ['a column without its table', 'notte', '', /\(character 1\) \| Did you mean note\?$/],
    ['a column of what is joined', 'c.fullname', join, /\(character 1\) \| Did you mean c\.full_name\?$/],
    ['a column that needs quotes', 'c.region', join, /\| Did you mean c\."Region"\?$/],
    ['an alias', 'x.full_name', join, /missing FROM-clause entry for table "x" \(character 1\) \| Did you mean [oc]\.full_name\?$/],
    ['a column of a sub-select under join', 's.nme', '    join: cross join (select full_name as nome from customers limit 0) s', /column s\.nme does not exist \(character 1\) \| Did you mean s\.nome\?$/m],
    ['a column inside of a sub-select', '(select c.ful_name from customers c where c.id = o.id)', '', /\(character 9\) \| Did you mean c\.full_name\?$/],
    ['a table', '(select full_name from custmers c limit 0)', '', /relation "custmers" does not exist \(character 24\) \| Did you mean customers\?$/m],
    ['a table of another schema', '(select max(value) from settings)', '', /relation "settings" does not exist \(character 25\) \| Did you mean other\.settings\?$/],
    ['a joined table', 'o.note', '    join: left join custmers c on true', /^join error: .*\(character 11\) \| Did you mean customers\?$/],
    ['a column in a join', 'o.note', '    join: left join customers c on c.id = o.custmer_id', /^join error: .*\(character 33\) \| Did you mean o\.customer_id\?$/],
    ['a column in where', 'o.note', '    where: o.totl > 0', /^where error: .*\(character 1\) \| Did you mean o\.total\?$/],
    ['a function', 'o.note || uper(o.note)', '', /function uper\(text\) does not exist \(character 11\) \| Did you mean upper\?$/],
    ['a function of a schema', 'other.slag(o.note)', '', /\(character 1\) \| Did you mean other\.slug\?$/],
    ['arguments', 'upper(o.id)', '', /function upper\(integer\) does not exist \(character 1\) \| No function matches/],
    ['a literal', "o.id = 'x'", '', /invalid input syntax for type integer: "x" \(character 8\)/],
  ])('%s is told with its place', async (_, expression, more, expected) => {
    expect(await said(expression, more)).toMatch(expected);
  }); // biome-ignore format: one case a line
});

test('what leaves its place is never sent to the source', async () => {
  const session = await source.open();
  const sent: string[] = [];
  const { connection } = session as unknown as {
    connection: { query(text: string): void; parse(statement: { text: string }): void };
  };
  const [query, parse] = [connection.query.bind(connection), connection.parse.bind(connection)];
  connection.query = (text) => {
    sent.push(text);
    query(text);
  };
  connection.parse = (statement) => {
    sent.push(statement.text);
    parse(statement);
  };
  const flow = (where: string, v: string) =>
    goodPlan(
      `flows:\n  - {name: f, from: orders o, where: ${JSON.stringify(where)}, to: t, columns: {v: ${JSON.stringify(v)}}}`,
    );
  const paths = async (plan: Plan) =>
    (await resolvePlan(plan, session, await target.open())).problems.map(({ at }) => at.path);
  expect(await paths(flow('true) or (sent_word', 'o.note'))).toEqual(['flows[0].where']);
  expect(await paths(flow('true', '1) from sent_word --'))).toEqual(['flows[0].columns.v']);
  expect(sent.join('\n')).not.toContain('sent_word');
  // The ear hears: a text that stays in its place is asked about.
  expect(await paths(flow('sent_word', 'o.note'))).toEqual(['flows[0].where']);
  expect(sent.join('\n')).toContain('sent_word');
});
