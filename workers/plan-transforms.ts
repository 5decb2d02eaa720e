import { RowfleetError } from '../src/errors.ts';
import { openIdMaps } from '../src/ledger/id-map-reader.ts';
import type { Queryable } from '../src/ledger/ledger.ts';
import type { Run } from '../src/ledger/runs.ts';
import { idMapsOf } from '../src/plan/id-maps.ts';
import { plansFolders, plansVariable } from '../src/plan/plans-folders.ts';
import { type LoadedTransform, loadTransform } from '../src/transform/load.ts';
import { openTransform, type Transform, type Transforms } from '../src/transform/transform.ts';
import type { ResolvedTransform } from '../src/transform/types.ts';
import { OwnTrouble } from './away.ts';

/**
 * Where code is looked for: where this process's own environment says, and nowhere else. Who can write to the ledger must
 * not thereby choose what runs here. Throws OwnTrouble.
 */
function codeFolders(): string[] {
  const folders = plansFolders(process.env);
  if (folders.length > 0) return folders;
  const reason = `${plansVariable} is not set: the plan has a transform, whose code is taken from the folders that it names`;
  throw new OwnTrouble(reason);
}

/** The code of a transform, from the first folder that has it as the plan was checked with. Throws OwnTrouble. */
async function loadFrom(folders: string[], transform: ResolvedTransform): Promise<LoadedTransform> {
  const failures: unknown[] = [];
  for (const folder of folders) {
    try {
      return await loadTransform(folder, transform);
    } catch (error) {
      failures.push(error);
    }
  }
  const differs = (error: unknown) => error instanceof RowfleetError && error.code === 'TRANSFORM_DIFFERS';
  const told = failures.find(differs) ?? failures[0];
  const hint = differs(told) ? '' : ' (ROWFLEET_PLANS says where the folders of plans are)';
  throw new OwnTrouble(`${(told as Error).message}${hint}`, told);
}

/**
 * Loads the transforms of a run's plan into this process: their code runs only where it is what the plan was checked with.
 * Throws OwnTrouble where that is not here.
 * @param ledger where functions look up id maps, beside the sessions of batches
 */
export async function openTransforms(run: Run, ledger: Queryable): Promise<Transforms> {
  const idMap = openIdMaps(ledger, idMapsOf(run.plan));
  const opened = new Map<string, Transform>();
  for (const { name, transform } of run.plan.flows) {
    if (transform === undefined) continue;
    const loaded = await loadFrom(codeFolders(), transform);
    opened.set(name, openTransform(name, transform, loaded, idMap));
  }
  return opened;
}
