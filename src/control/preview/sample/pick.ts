import { literal, qualified } from '../../../pg/quote.ts';
import type { Session } from '../../../pg/session.ts';
import type { Leaf, ResolvedFlow } from '../../../plan/resolved-plan.ts';
import { planQuery } from '../../../plan/sql/query.ts';
import { selectRows } from '../../../plan/statements/select.ts';

/** A driving row, where it stands. */
export interface Place {
  leaf: Leaf;
  tid: string;
}

/** Rows at the beginning of a range of blocks. */
async function firstOf(
  source: Session,
  leaf: Leaf,
  from: number,
  to: number,
  most: number,
): Promise<Place[]> {
  const { rows } = await source.query<{ tid: string }>(
    `select d.ctid::pg_catalog.text as tid from only ${qualified(leaf)} as d
      where d.ctid >= ${literal(`(${from},0)`)}::pg_catalog.tid and d.ctid < ${literal(`(${to},0)`)}::pg_catalog.tid
      order by d.ctid limit ${most}`,
  );
  return rows.map(({ tid }) => ({ leaf, tid }));
}

/**
 * Picks driving rows that are spread evenly over the blocks of a flow's leaves; of a small table the first ones. The same
 * rows each time, as long as nothing is written.
 * @param blocks of each leaf
 */
export async function pickSpread(
  source: Session,
  { leaves }: ResolvedFlow,
  blocks: number[],
  most: number,
): Promise<Place[]> {
  const total = blocks.reduce((sum, n) => sum + n, 0);
  const pieces = Math.min(total, most);
  const found: Place[] = [];
  for (let piece = 0; piece < pieces && found.length < most; piece++) {
    let [from, to] = [Math.floor((total * piece) / pieces), Math.floor((total * (piece + 1)) / pieces)];
    // As many as are left for each of the pieces that are left.
    const share = Math.ceil((most - found.length) / (pieces - piece));
    for (const [i, leaf] of leaves.entries()) {
      if (from < blocks[i]! && to > 0)
        found.push(...(await firstOf(source, leaf, Math.max(0, from), Math.min(to, blocks[i]!), share)));
      [from, to] = [from - blocks[i]!, to - blocks[i]!];
    }
  }
  return found.slice(0, most);
}

/** Picks the first driving rows that become something, where those of `pickSpread` do not. */
export async function pickYielding(source: Session, flow: ResolvedFlow, most: number): Promise<Place[]> {
  const found: Place[] = [];
  for (const leaf of flow.leaves) {
    if (found.length >= most) break;
    const { grouping: _, ...frame } = flow;
    const rows = selectRows(frame, [`${flow.alias}.ctid::pg_catalog.text as tid`], { leaf });
    const { rows: tids } = await planQuery<{ tid: string }>(
      source,
      `select distinct r.tid from (${rows} limit ${most}) as r order by r.tid limit ${most - found.length}`,
    );
    found.push(...tids.map(({ tid }) => ({ leaf, tid })));
  }
  return found;
}
