import { fileURLToPath } from 'node:url';
import { TransformBatch } from '../../src/transform/batch.ts';
import { loadTransform } from '../../src/transform/load.ts';
import { openTransform, type Transform } from '../../src/transform/transform.ts';
import type { TransformInput, TransformOutput, ValueName } from '../../src/transform/types.ts';

/** What the bench's function is given: columns of the table `mixed`, by their types. */
export const inputTypes: Record<string, ValueName> = {
  id: 'int8',
  ref: 'uuid',
  body: 'jsonb',
  title: 'text',
  amount: 'numeric',
  at: 'timestamptz',
  flag: 'bool',
  raw: 'bytea',
};

/** What it fills. */
export const outputTypes: Record<string, ValueName> = {
  id: 'int8',
  ref: 'uuid',
  heading: 'text',
  cents: 'int4',
  meta: 'jsonb',
  at: 'timestamptz',
  digest: 'bytea',
};

const common = (name: string, value: ValueName) => ({
  name,
  type: value,
  value: { name: value, array: false },
  nullable: true,
});

/** The function of `transforms/mixed.ts`, as a loader has it. */
export async function openMixed(): Promise<Transform> {
  const loaded = await loadTransform(fileURLToPath(new URL('.', import.meta.url)), {
    file: 'transforms/mixed.ts',
    export: 'default',
  });
  const input = Object.entries(inputTypes).map(
    ([name, value]): TransformInput => ({ ...common(name, value), expression: name }),
  );
  const output = Object.entries(outputTypes).map(
    ([name, value]): TransformOutput => ({ ...common(name, value), optional: true }),
  );
  const plan = { file: 'transforms/mixed.ts', export: 'default', hash: loaded.hash, input, output };
  return openTransform('mixed', plan, loaded, async () => null);
}

/** Frames as the source's socket gave them, through all of a batch but the databases: decoded, called for, encoded. */
export async function goThroughStage(transform: Transform, chunks: Buffer[]): Promise<void> {
  const { signal } = new AbortController();
  const batch = new TransformBatch(transform, { signal, write: () => {}, binary: true });
  for (const chunk of chunks) await batch.push(chunk);
  await batch.end();
}
