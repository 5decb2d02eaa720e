import pg from 'pg';

/** A table or other relation, always with its schema. */
export interface RelationName {
  schema: string;
  name: string;
}

/** Quotes one identifier: `a"b` → `"a""b"`. */
export const ident = (name: string): string => pg.escapeIdentifier(name);

/** Quotes a relation with its schema: `"public"."chunks"`. */
export const qualified = (relation: RelationName): string =>
  `${ident(relation.schema)}.${ident(relation.name)}`;

/** Quotes a text as an SQL literal. For what cannot be bound: DDL, COPY, SET. */
export const literal = (text: string): string => pg.escapeLiteral(text);

/** Quoted only where it must be: `b.c` in the schema `a` and `c` in the schema `a.b` are to read differently. */
const part = (name: string): string => (/[."]/.test(name) ? ident(name) : name);

/** How people read a relation: `public.chunks`. No two relations read the same, so the ledger tells them apart by it. Never for SQL. */
export const display = (relation: RelationName): string => `${part(relation.schema)}.${part(relation.name)}`;
