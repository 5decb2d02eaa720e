import type { Column } from '../../catalog/columns.ts';
import type { DataType, TypeCatalog } from '../../catalog/data-types.ts';
import { baseType, isBuiltin } from './conversions.ts';
import { scaleOf, typmodOf } from './digests.ts';

/** What becomes of values that a target column cannot hold as they are. */
export interface Misfit {
  what: string;
  /** The server changes them without a word; else it refuses the row. */
  silent: boolean;
}

/** A type as values meet it: of arrays the element's, of domains what they are over. */
interface Scalar {
  name: string;
  typmod: number;
  labels: string[] | null;
}

function scalarOf(types: TypeCatalog, type: DataType, typmod: number): Scalar {
  const base = baseType(types, type);
  const element = types.byOid.get(base.element);
  const scalar = element ? baseType(types, element) : base;
  return {
    name: scalar.labels || isBuiltin(scalar) ? scalar.name : '',
    typmod: typmodOf(types, type, typmod),
    labels: scalar.labels,
  };
}

/** Digits before the point that every value of a type may have, and those that any value may have. */
const wholeDigits: Record<string, [all: number, any: number]> = {
  int2: [4, 5],
  int4: [9, 10],
  int8: [18, 19],
};

function digitsOf({ name, typmod }: Scalar): [all: number, any: number] | undefined {
  if (name === 'numeric') {
    const digits = typmod === -1 ? Number.POSITIVE_INFINITY : ((typmod - 4) >> 16) - scaleOf(typmod);
    return [digits, digits];
  }
  if (name === 'float4' || name === 'float8') return [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  return wholeDigits[name];
}

/** Digits behind the point that a value may have; undefined for what is no number. */
function fractionOf({ name, typmod }: Scalar): number | undefined {
  if (name === 'numeric' && typmod !== -1) return scaleOf(typmod);
  if (name === 'numeric' || name.startsWith('float')) return Number.POSITIVE_INFINITY;
  return name in wholeDigits ? 0 : undefined;
}

const precise = new Set(['time', 'timetz', 'timestamp', 'timestamptz', 'interval']);

/** Digits of seconds; everything that an interval may have besides is compared by its typmod. */
function secondsOf({ name, typmod }: Scalar): number | undefined {
  if (!precise.has(name)) return name === 'date' ? 0 : undefined;
  if (name === 'interval' && typmod !== -1) return (typmod & 0xffff) === 0xffff ? 6 : typmod & 0xffff;
  return typmod === -1 ? 6 : typmod;
}

function rounding(from: Scalar, to: Scalar): string | undefined {
  if (to.name in wholeDigits) return (fractionOf(from) ?? 0) > 0 ? 'fractions are rounded' : undefined;
  if (to.typmod === -1) return undefined;
  const [mine, its] =
    to.name === 'numeric' ? [fractionOf(from), fractionOf(to)] : [secondsOf(from), secondsOf(to)];
  const finer = mine !== undefined && its !== undefined && mine > its;
  const fields = to.name === 'interval' && from.name === 'interval' && from.typmod !== to.typmod;
  return finer || fields ? 'what does not fit is rounded without an error' : undefined;
}

function range(from: Scalar, to: Scalar): string | undefined {
  const [given, room] = [digitsOf(from), digitsOf(to)];
  if (!given || !room || to.name.startsWith('float')) return undefined;
  const widens = from.name in wholeDigits && to.name in wholeDigits && given[0] <= room[0];
  return !widens && given[1] > room[0] ? 'values beyond its range are refused' : undefined;
}

/** How long the text of a value may be, where that is known. */
const textLength: Record<string, number> = { bool: 5, int2: 6, int4: 11, int8: 20, uuid: 36, date: 13 };
const unbounded = new Set(['text', 'json', 'jsonb', 'xml', 'name', 'numeric']);

function lengthOf({ name, typmod, labels }: Scalar): number | undefined {
  if (labels) return Math.max(0, ...labels.map((label) => [...label].length));
  if (name === 'varchar' || name === 'bpchar') return typmod === -1 ? Number.POSITIVE_INFINITY : typmod - 4;
  return unbounded.has(name) ? Number.POSITIVE_INFINITY : textLength[name];
}

function tooLong(from: Scalar, to: Scalar): string | undefined {
  if (to.typmod === -1) return undefined;
  if (to.name === 'bit' || to.name === 'varbit') {
    const fits =
      to.name === 'bit' ? from.typmod === to.typmod : from.typmod !== -1 && from.typmod <= to.typmod;
    return fits ? undefined : 'values of another length are refused';
  }
  if (to.name !== 'varchar' && to.name !== 'bpchar') return undefined;
  const length = lengthOf(from);
  const most = to.typmod - 4;
  return length !== undefined && length > most
    ? `values longer than ${most} ${most === 1 ? 'character' : 'characters'} are refused`
    : undefined;
}

/** What of the values of an expression its target column rounds or refuses, as far as their types tell. */
export function misfits(
  source: TypeCatalog,
  target: TypeCatalog,
  given: { typeOid: number; typmod: number },
  column: Column,
): Misfit[] {
  const from = scalarOf(source, source.byOid.get(given.typeOid)!, given.typmod);
  const to = scalarOf(target, target.byOid.get(column.typeOid)!, column.typmod);
  const rounded = rounding(from, to);
  const refused = [range(from, to), tooLong(from, to)].filter((what) => what !== undefined);
  return [
    ...(rounded === undefined ? [] : [{ what: rounded, silent: true }]),
    ...refused.map((what) => ({ what, silent: false })),
  ];
}
