/** What people write such functions for: strings cut and joined, JSON reshaped, a sum in whole cents. */
export default function mixed(row: {
  id: bigint;
  ref: string;
  body: { n: number; tags: unknown[] };
  title: string;
  amount: string;
  at: string;
  flag: boolean;
  raw: Uint8Array;
}) {
  const title = row.title.trim();
  return {
    id: row.id * 4n + 1n,
    ref: row.ref,
    heading: title.length > 40 ? `${title.slice(0, 40)}...` : title,
    cents: Math.round(Number(row.amount) * 100),
    meta: { position: row.body.n, tags: row.body.tags, size: row.raw.length, flag: row.flag },
    at: row.at,
    digest: row.raw,
  };
}
