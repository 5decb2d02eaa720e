import { describe, expect, test } from 'vitest';
import { parsePlan } from '../../src/plan/read/parse.ts';
import { brief, planFile, planText } from '../plan.ts';

// What the file alone shows to be wrong: line, path, message | the smallest mend. What takes a database: ../db/plan-wrong.

const said = (body: string): string[] => parsePlan(planText(body), planFile).problems.map(brief);

/** A flow in order but for these lines, which begin on line 8. */
const flow = (lines: string): string =>
  `flows:\n  - name: f\n    from: chunks c\n    to: unified\n    columns: {id: c.id}\n${indent(lines)}`;

/** A flow with this as the columns, from line 7. */
const columns = (lines: string): string =>
  `flows:\n  - name: f\n    from: chunks c\n    to: unified\n    columns:\n${indent(lines, 6)}`;

const indent = (lines: string, by = 4): string => lines.replace(/^/gm, ' '.repeat(by));

const ways = 'Write {id_map: customer, key: c.id}, or {lookup: country, by: {code: c.country}, take: id}.';
const quote =
  'Quote the whole expression where it has commas, quotes or brackets: {total: "coalesce(a, b)"}.';

describe('a key that is misspelt', () => {
  test.each<[string, string, string]>([
    ['group_by', flow('group_bye: c.a'), '8 flows[0].group_bye error: there is no key "group_bye" | Did you mean group_by?'],
    ['window_by', flow('windowby: c.a'), '8 flows[0].windowby error: there is no key "windowby" | Did you mean window_by?'],
    ['join_rows', flow('joinrows: any'), '8 flows[0].joinrows error: there is no key "joinrows" | Did you mean join_rows?'],
    ['transform', flow('transfrom: x.ts'), '8 flows[0].transfrom error: there is no key "transfrom" | Did you mean transform?'],
    ['returns', flow('transform: {file: x.ts, retruns: [a]}'), '8 flows[0].transform.retruns error: there is no key "retruns" | Did you mean returns?'],
    ['id_maps', 'id_map: {m: {from: c, key: id, new: uuid}}', '3 id_map error: there is no key "id_map" | Did you mean id_maps?'],
    ['new', 'id_maps:\n  m: {from: c, key: id, new: uuid, nwe: 1}', '4 id_maps.m.nwe error: there is no key "nwe" | Did you mean new?'],
    ['id_map', columns('id: {idmap: m, key: c.id}'), '8 flows[0].columns.id.idmap error: there is no key "idmap" | Did you mean id_map?'],
    ['lookup', columns('id: {lokup: t, by: {a: c.a}, take: id}'), '8 flows[0].columns.id.lokup error: there is no key "lokup" | Did you mean lookup?'],
  ])('%s', (_, body, expected) => {
    expect(said(body)).toContain(expected);
  }); // biome-ignore format: one case a line
});

describe('a value that is not one of those known', () => {
  test.each<[string, string, string]>([
    ['on_conflict', flow('on_conflict: replace'), '8 flows[0].on_conflict error: must be error, skip, update or merge | '],
    ['on_conflict, nearly', flow('on_conflict: updte'), '8 flows[0].on_conflict error: must be error, skip, update or merge | Did you mean update?'],
    ['join_rows', flow('join: join d on true\njoin_rows: maybe'), '9 flows[0].join_rows error: must be exact, may_lose, may_multiply or any | '],
    ['missing', columns('id: {lookup: t, by: {a: c.a}, take: id, missing: ignore}'), '8 flows[0].columns.id.missing error: must be error or null | '],
    ['new', 'id_maps:\n  m: {from: c, key: id, new: int}', '4 id_maps.m.new error: must be uuid or sequence | '],
    ['the name of an id map', 'id_maps:\n  My Map: {from: c, key: id, new: uuid}', '4 id_maps["My Map"] error: must be lower-case letters, digits and _, 41 at most | '],
    ['conflict_key as text', flow('on_conflict: skip\nconflict_key: email\norder: c.id'), '9 flows[0].conflict_key error: must be a list | Write [email].'],
    ['order as a mapping', flow('on_conflict: skip\norder: {a: desc}'), '9 flows[0].order error: must be an expression or a list of them | '],
  ])('%s', (_, body, expected) => {
    expect(said(body)).toEqual([expected]);
  }); // biome-ignore format: one case a line
});

describe('keys that do not go together, or lack each other', () => {
  test.each<[string, string, string]>([
    ['order without on_conflict', flow('order: c.id'), '8 flows[0].order error: means nothing without on_conflict | Add on_conflict: skip, update or merge.'],
    ['on_conflict without order', flow('on_conflict: update'), '8 flows[0].on_conflict error: update needs an order, or the result would depend on which batch came first | Add one, for example: order: c.updated_at desc'],
    ['an id map without a key', columns('id: {id_map: m}'), `8 flows[0].columns.id error: key is missing: what is looked up in m | ${ways}`],
    ['a lookup without by', columns('id: {lookup: t, take: id}'), `8 flows[0].columns.id error: by is missing | ${ways}`],
    ['an id map with take', columns('id: {id_map: m, key: c.id, take: id}'), `8 flows[0].columns.id.take error: does not belong here | ${ways}`],
    ['the key of an id map', 'id_maps:\n  m: {from: c, new: uuid}', '4 id_maps.m.key error: is missing | '],
  ])('%s', (_, body, expected) => {
    expect(said(body)).toEqual([expected]);
  }); // biome-ignore format: one case a line

  test('outputs beside to and columns, both at once', () => {
    const hint = 'Put it into the output that it is meant for.';
    expect(said(flow('outputs: [{to: u, columns: {a: c.a}}]'))).toEqual([
      `6 flows[0].to error: stands beside outputs | ${hint}`,
      `7 flows[0].columns error: stands beside outputs | ${hint}`,
    ]);
  });
});

test.each(['{a: b}', '{c.id}', '{coalesce(c.a, c.b)}'])(
  'an expression that YAML reads as a mapping: %s',
  (text) => {
    expect(said(columns(`id: ${text}`))).toEqual([
      `8 flows[0].columns.id error: must be text or a number, or {lookup: …} or {id_map: …} | ${quote}`,
    ]);
  },
);
