import type { TransformSpec } from '../../transform/types.ts';
import type { PlanDocument } from './definition.ts';

type FlowDocument = NonNullable<PlanDocument['flows']>[number];
type TransformDocument = NonNullable<FlowDocument['transform']>;

/** The `transform` of a flow: `file.ts`, `file.ts#name`, or an object with one of these as its `file`. */
export function readTransform(document: TransformDocument): TransformSpec {
  const {
    file: written,
    calls_per_second: callsPerSecond,
    ...settings
  } = typeof document === 'string' ? { file: document } : document;
  const [, file, name] = /^([^#]*)(?:#(.*))?$/s.exec(written)!;
  return {
    file: file!.replace(/^(\.\/)+/, ''),
    export: name || 'default',
    ...settings,
    ...(callsPerSecond === undefined ? {} : { callsPerSecond }),
  };
}

/** A transform as a plan names it. */
export const writtenTransform = ({ file, export: name }: Pick<TransformSpec, 'file' | 'export'>): string =>
  name === 'default' ? file : `${file}#${name}`;
