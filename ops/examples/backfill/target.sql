-- Applied with a release of the application, before the backfill: adding columns without a default is quick.
alter table articles add column slug text, add column price_cents bigint, add column label text;
