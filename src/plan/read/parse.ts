import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, resolve } from 'node:path';
import { usageError } from '../../errors.ts';
import type { EndpointSpec, Plan, Settings } from '../plan.ts';
import type { PlanProblem } from '../problems.ts';
import { Problems } from '../problems.ts';
import { type PlanDocument, planDefinition } from './definition.ts';
import { durationMs } from './duration.ts';
import { specFromSettings, specFromUrl } from './endpoint-spec.ts';
import { readFlows, readIdMaps } from './flows.ts';
import { takeOutGaps } from './gaps.ts';
import { takeOutNotBuilt } from './not-built.ts';
import { reportIssue } from './report-issue.ts';
import { readThrottle } from './throttle.ts';
import { readYaml } from './yaml-document.ts';

/** A plan file, read. `plan` is missing when a problem is an error. */
export interface ParsedPlan {
  plan?: Plan;
  problems: PlanProblem[];
  /** Passwords that stood literally in the file, by the variable that stands for them: for child processes' environments. */
  secrets: Record<string, string>;
}

function readSettings(document: PlanDocument, problems: Problems): Settings {
  const given = document.migration ?? {};
  const batchTimeoutMs = durationMs(given.timeout_per_batch ?? '30s');
  if (batchTimeoutMs < 100 || batchTimeoutMs > 86_400_000)
    problems.error(['migration', 'timeout_per_batch'], 'must be from 100ms to 24h');
  if (given.batch_seconds !== undefined && given.batch_seconds * 2000 > batchTimeoutMs)
    problems.error(
      ['migration', 'batch_seconds'],
      'must be at most half of timeout_per_batch',
      `Batches that take a little longer than they should would be given up; the timeout is ${batchTimeoutMs / 1000} s.`,
    );
  return {
    batchSize: given.batch_size ?? 1000,
    maxRetries: given.max_retries ?? 3,
    batchTimeoutMs,
    ...(given.batch_seconds === undefined ? {} : { batchSeconds: given.batch_seconds }),
    ...(given.max_batch_mb === undefined ? {} : { maxBatchMb: given.max_batch_mb }),
    parallelWorkers: given.parallel_workers ?? 2,
    validationLevel: given.validation_level ?? 'standard',
    throttle: readThrottle(given.throttle, problems),
    quarantineLimit: {
      rows: given.quarantine_limit?.rows ?? 1000,
      ratio: given.quarantine_limit?.ratio ?? 0.01,
    },
  };
}

function readEndpoint(
  document: PlanDocument,
  side: 'source' | 'target',
  problems: Problems,
  secrets: Record<string, string>,
): EndpointSpec {
  const url = document[side];
  const settings = document[`${side}_database`];
  const variable = `${side.toUpperCase()}_DATABASE_PASSWORD`;
  if (url !== undefined && settings !== undefined)
    problems.error([side], `${side} and ${side}_database are both given`, 'Keep one of the two.');
  if (url !== undefined) return specFromUrl(url, { problems, path: [side], secrets, variable });
  if (settings !== undefined)
    return specFromSettings(settings, { problems, path: [`${side}_database`], secrets, variable });
  const hint = `Write ${side}: \${${side.toUpperCase()}_DATABASE_URL}, or ${side}_database with host, user and database.`;
  problems.error([side], `the plan names no ${side} database`, hint);
  return {};
}

function readSchema(document: PlanDocument, file: string, problems: Problems): string[] {
  const written = document.schema ?? [];
  const files = typeof written === 'string' ? [written] : written;
  return files.map((name, i) => {
    const path = resolve(dirname(file), name);
    const place = typeof written === 'string' ? ['schema'] : ['schema', i];
    if (!existsSync(path)) problems.error(place, `${name} does not exist`, `It is looked for at ${path}.`);
    return path;
  });
}

function readTables(document: PlanDocument, problems: Problems): string[] | '*' {
  const tables = document.tables ?? (document.flows === undefined ? '*' : []);
  if (tables !== '*') {
    for (const [i, table] of tables.entries()) {
      if (tables.indexOf(table) < i) problems.error(['tables', i], `${table} stands in the list twice`);
    }
  }
  return tables;
}

/**
 * Reads the text of a plan. All that is wrong with it comes in one answer; nothing is looked up in a database.
 * `file` gives problems their place, the plan its default name, and schema files their folder.
 */
export function parsePlan(text: string, file: string): ParsedPlan {
  const path = resolve(file);
  const yaml = readYaml(text, path);
  const secrets: Record<string, string> = {};
  if (yaml.problems.length > 0) return { problems: yaml.problems, secrets };
  const problems = new Problems({ file: path, lines: yaml.lines });
  for (const refused of [...takeOutNotBuilt(yaml.value), ...takeOutGaps(yaml.value)])
    problems.error(refused.path, refused.message, refused.hint);
  const checked = planDefinition.safeParse(yaml.value, { reportInput: true });
  if (!checked.success) {
    for (const issue of checked.error.issues) reportIssue(issue, problems);
    return { problems: problems.sorted(), secrets };
  }
  const document = checked.data;
  const plan: Plan = {
    file: path,
    name: document.name ?? basename(path, extname(path)),
    source: readEndpoint(document, 'source', problems, secrets),
    target: readEndpoint(document, 'target', problems, secrets),
    schema: readSchema(document, path, problems),
    settings: readSettings(document, problems),
    tables: readTables(document, problems),
    idMaps: readIdMaps(document, problems),
    flows: readFlows(document, problems),
    allowNonEmpty: document.allow_non_empty ?? false,
    dryRun: document.migration?.dry_run ?? false,
    backupBeforeMigrate: document.migration?.backup_before_migrate ?? false,
    lines: yaml.lines,
  };
  return { ...(problems.hasErrors ? {} : { plan }), problems: problems.sorted(), secrets };
}

/** Reads a plan file; one that cannot be read throws a usage error. */
export function loadPlan(file: string): ParsedPlan {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read';
    throw usageError(
      'PLAN_FILE',
      `the plan ${file} ${reason}`,
      '`rowfleet generate-config > plan.yaml` writes one.',
    );
  }
  return parsePlan(text, file);
}
