/** The columns of the benches' table `mixed`. */
export const mixedColumns =
  'id bigint, ref uuid, body jsonb, title text, amount numeric(12, 2), at timestamptz, flag boolean, raw bytea';

/** Fills it. */
export const mixedRows = (rows: number) => `
  insert into mixed
  select i, md5(i::text)::uuid, jsonb_build_object('n', i, 'tags', jsonb_build_array('a', i % 7)),
         repeat('title ' || i % 100, 1 + i % 8), i % 100000 / 100.0,
         timestamptz '2024-01-01' + i * interval '1 second', i % 3 = 0, decode(md5(i::text), 'hex')
    from generate_series(1, ${rows}) i`;
