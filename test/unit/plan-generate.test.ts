import { describe, expect, it } from 'vitest';
import { parseConninfo } from '../../src/pg/conninfo.ts';
import { folded, pairUp } from '../../src/plan/generate/alike.ts';
import { parsePlan } from '../../src/plan/read/parse.ts';
import { brief, planFile, planText } from '../plan.ts';

describe('a gap in a plan', () => {
  it('is refused at its line with what is to be decided, and everything else is still checked', () => {
    const flow = `
flows:
  - name: a
    from: a
    to: b
    columns:
      x:
        decide: >-
          text NOT NULL; near: a.y
    wher: a.z > 1`;
    const { plan, problems } = parsePlan(planText(flow), planFile);
    expect(plan).toBeUndefined();
    expect(problems.map(brief)).toEqual([
      expect.stringMatching(
        /^8 flows\[0\]\.columns\.x error: is still to be decided: text NOT NULL; near: a\.y \| Write an SQL expression/,
      ),
      expect.stringMatching(/^11 flows\[0\]\.wher error: .* Did you mean where/),
    ]);
  });

  it('is found in one of several outputs', () => {
    const flow = `
flows:
  - name: a
    from: a
    outputs:
      - {to: b, columns: {x: a.x}}
      - {to: c, columns: {y: {decide: which}}}`;
    const places = parsePlan(planText(flow), planFile).problems.map(({ at }) => at.path);
    expect(places).toContain('flows[0].outputs[1].columns.y');
  });
});

describe('names that are alike', () => {
  it.each([
    ['emailAddress', 'Email_Addresses', 'EMAILADDRESS'],
    ['order_category', 'OrderCategories', 'order-categories'],
    ['boxes', 'Box', 'box'],
    ['house', 'houses', 'Houses'],
  ])('%s, %s, %s', (...names) => {
    expect(new Set(names.map(folded)).size).toBe(1);
  });

  it.each([
    ['status', 'statu'],
    ['glass', 'glas'],
    ['user_id', 'user'],
    ['café', 'cafe'],
  ])('but not %s and %s', (a, b) => {
    expect(folded(a)).not.toBe(folded(b));
  });

  it('go together only where they are the only ones', () => {
    const pairs = pairUp(
      ['tag', 'users', 'user', '🐘'],
      ['tag', 'tags', 'USER', '🐍'],
      [(name) => name, folded],
    );
    expect(pairs).toEqual([{ source: 'tag', target: 'tag', reading: 0 }]);
  });
});

describe('libpq settings', () => {
  it('are taken apart', () => {
    expect(parseConninfo(" host = h  user=me password='a \\'b\\\\ ' dbname=a\\ b options='' ")).toEqual({
      host: 'h',
      user: 'me',
      password: "a 'b\\ ",
      dbname: 'a b',
      options: '',
    });
  });

  it.each(["host='h", 'host', 'host=a b', '=x', "host='a'b"])('%s is none', (text) => {
    expect(() => parseConninfo(text)).toThrow('malformed');
  });
});
