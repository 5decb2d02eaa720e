import { setImmediate as soon } from 'node:timers/promises';
import { RowfleetError } from '../errors.ts';
import { qualified } from '../pg/quote.ts';
import { type IdMap, idMapTable, oldColumn } from '../plan/id-maps.ts';
import type { Queryable } from './ledger.ts';

type NewId = string | bigint;

interface Asked {
  parts: string[];
  settle: { resolve: (id: NewId | null) => void; reject: (error: unknown) => void };
}

/** New ids that are kept at hand for each map. */
const mostKept = 100_000;

/** One id map. Keys that are asked for together are looked up together; an old key keeps its new one, so it is kept here too. */
class OneMap {
  readonly #on: Queryable;
  readonly #map: IdMap;
  readonly #known = new Map<string, NewId>();
  #asked: Asked[] = [];

  constructor(on: Queryable, map: IdMap) {
    this.#on = on;
    this.#map = map;
  }

  find(key: unknown): Promise<NewId | null> {
    const parts: unknown[] = Array.isArray(key) ? key : [key];
    const { name, oldTypes } = this.#map;
    if (parts.length !== oldTypes.length)
      throw new RowfleetError('ID_MAP_KEY', `a key of id map ${name} has ${oldTypes.length} parts`);
    if (parts.includes(null) || parts.includes(undefined)) return Promise.resolve(null);
    const texts = parts.map(String);
    const known = this.#known.get(JSON.stringify(texts));
    if (known !== undefined) return Promise.resolve(known);
    if (this.#asked.length === 0) void this.#lookUpSoon();
    return new Promise((resolve, reject) => this.#asked.push({ parts: texts, settle: { resolve, reject } }));
  }

  async #lookUpSoon(): Promise<void> {
    await soon();
    const asked = this.#asked;
    this.#asked = [];
    try {
      const ids = await this.#lookUp(asked.map(({ parts }) => parts));
      if (this.#known.size > mostKept) this.#known.clear();
      for (const [i, { parts, settle }] of asked.entries()) {
        const id = ids[i]!;
        if (id !== null) this.#known.set(JSON.stringify(parts), id);
        settle.resolve(id);
      }
    } catch (error) {
      for (const { settle } of asked) settle.reject(error);
    }
  }

  async #lookUp(keys: string[][]): Promise<(NewId | null)[]> {
    const { name, oldTypes, new: kind } = this.#map;
    const lists = oldTypes.map((_, i) => `$${i + 1}::text[]`).join(', ');
    const names = oldTypes.map((_, i) => `k${i + 1}`);
    const same = oldTypes.map((type, i) => `m.${oldColumn(i)} = k.k${i + 1}::${type}`).join(' and ');
    const { rows } = await this.#on.query(
      `select m.new_id::text as id from unnest(${lists}) with ordinality as k (${names.join(', ')}, n)
         left join ${qualified(idMapTable(name))} m on ${same} order by k.n`,
      oldTypes.map((_, i) => keys.map((parts) => parts[i])),
    );
    return rows.map(({ id }: { id: string | null }) => (id === null || kind === 'uuid' ? id : BigInt(id)));
  }
}

/** Finds new ids in id maps of the ledger that are filled; null for keys that are not there. Throws ID_MAP_UNKNOWN and ID_MAP_KEY. */
export function openIdMaps(
  on: Queryable,
  maps: IdMap[],
): (name: string, key: unknown) => Promise<NewId | null> {
  const opened = new Map(maps.map((map) => [map.name, new OneMap(on, map)]));
  return async (name, key) => {
    const map = opened.get(name);
    if (map === undefined) throw new RowfleetError('ID_MAP_UNKNOWN', `the plan has no id map ${name}`);
    return map.find(key);
  };
}
