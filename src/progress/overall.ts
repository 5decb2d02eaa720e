import type { FlowFigures } from '../ledger/read-flows.ts';
import type { RunSummary } from '../ledger/read-run.ts';
import type { RunningAttempt, TaskProgress } from '../ledger/read-tasks.ts';
import { rateWindowSeconds } from './flow.ts';
import type { Eta, FlowProgress, OverallProgress } from './types.ts';

/*
 * What building and checking cost, as a part of the copying before them, until this run has its own figures.
 * From measurements of same-shape copies: a standard validation takes 0.3 to 0.5 of the copy.
 */
const buildsPerCopy = 0.15;
const checksPerCopy = 0.4;

/** What the overall figures are made from. */
export interface ProgressParts {
  run: RunSummary;
  waiting: string | null;
  figures: FlowFigures[];
  /** Seconds in which batches were copied. */
  copySeconds: number;
  flows: FlowProgress[];
  builds: TaskProgress[];
  checks: TaskProgress[];
  attempts: RunningAttempt[];
}

const sum = <T>(items: T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

interface Stage {
  /** 0 to 1. */
  fraction: number;
  /** Seconds left; undefined where only the copying could tell, or what runs takes longer than what is done did. */
  secondsLeft: number | undefined;
  /** What takes longer. */
  slow?: string;
}

/**
 * A stage of builds or checks. With something done, what is open costs the mean of what is done, shared by those
 * that run at once. With nothing done yet its cost is `perCopy` of the copying.
 */
function stage(
  tasks: TaskProgress[],
  attempts: RunningAttempt[],
  over: boolean,
  { perCopy, wholeCopy }: { perCopy: number; wholeCopy: number | undefined },
): Stage {
  if (over) return { fraction: 1, secondsLeft: 0 };
  const done = tasks.filter((task) => task.state === 'done' || task.state === 'failed');
  const open = tasks.length - done.length;
  if (done.length === 0) {
    return { fraction: 0, secondsLeft: wholeCopy === undefined ? undefined : wholeCopy * perCopy };
  }
  const mean = sum(done, (task) => task.seconds ?? 0) / done.length;
  const atOnce = Math.max(1, tasks.filter((task) => task.state === 'running').length);
  const fraction = done.length / tasks.length;
  const running = attempts.filter(({ taskId }) => tasks.some(({ id }) => id === taskId));
  const slow = running.find(({ seconds }) => seconds > Math.max(5, 2 * mean));
  if (slow !== undefined) {
    const what = `${slow.label} on ${slow.relation} has run for ${Math.round(slow.seconds)} s`;
    return { fraction, secondsLeft: undefined, slow: `${what}, longer than those before it` };
  }
  // The first ones done are the small ones: until a third is, their mean alone would promise too much.
  const guess = fraction < 1 / 3 && wholeCopy !== undefined ? wholeCopy * perCopy * (1 - fraction) : 0;
  return { fraction, secondsLeft: Math.max(guess, (open * mean) / atOnce) };
}

const finished = ({ state }: RunSummary): boolean =>
  state === 'verified' || state === 'findings' || state === 'quarantined';

/**
 * ETA = rows left ÷ recent rows/s + builds left + checks left (each as `stage` says). The phases before copying and
 * after verifying take seconds and are not counted. No ETA without a rate: a guess would only be believed.
 */
function etaOf({ run, waiting }: ProgressParts, rate: number, rowsLeft: number, stages: Stage[]): Eta {
  if (finished(run)) return { seconds: 0 };
  if (run.state !== 'running') return { reason: run.state };
  if (rowsLeft > 0 && rate === 0) return { reason: waiting ?? 'no batch has finished yet' };
  const slow = stages.find((one) => one.slow !== undefined)?.slow;
  if (slow !== undefined) return { reason: slow };
  const rest = stages.map((one) => one.secondsLeft);
  if (rest.includes(undefined)) return { reason: waiting ?? 'no batch has finished yet' };
  return { seconds: (rowsLeft > 0 ? rowsLeft / rate : 0) + sum(rest, (seconds) => seconds ?? 0) };
}

/** The share of the whole that each phase stands for, so that the bar moves at an even pace. */
function overallFraction(kind: RunSummary['kind'], copy: number, builds: number, checks: number): number {
  if (kind === 'validate') return 0.99 * checks;
  const whole = 1 + buildsPerCopy + checksPerCopy;
  return Math.min(0.99, (copy + builds * buildsPerCopy + checks * checksPerCopy) / whole);
}

/** The copying of all flows together. */
interface Copying extends Omit<OverallProgress, 'fraction' | 'eta'> {
  fraction: number;
  rowsLeft: number;
  /** Seconds that the whole copying takes, by the recent rate; undefined while there is none. */
  wholeSeconds: number | undefined;
}

function copyingOf({ figures, flows, copySeconds }: ProgressParts): Copying {
  const rows = sum(flows, (flow) => flow.rows);
  const bytes = sum(flows, (flow) => flow.bytes);
  const estimatedRows = sum(flows, (flow) => flow.estimatedRows);
  const rowsInFlight = sum(flows, (flow) => flow.rowsInFlight);
  const copied = flows.length > 0 && flows.every(({ state }) => state === 'done' || state === 'cancelled');
  const age = Math.max(0, ...figures.map((one) => one.startedSecondsAgo ?? 0));
  const window = Math.min(rateWindowSeconds, Math.max(0.5, age));
  const perByte = bytes > 0 ? rows / bytes : 0;
  const recentRows = sum(figures, (one) => one.recentRows + perByte * one.recentBytesInFlight);
  const recentBytes = sum(figures, (one) => one.recentBytes + one.recentBytesInFlight);
  const rate = (whole: number, recent: number) =>
    copied ? whole / Math.max(0.001, copySeconds) : recent / window;
  const rowsPerSecond = rate(rows, recentRows);
  const rowsLeft = copied ? 0 : Math.max(0, estimatedRows - rows - rowsInFlight);
  const byRate = rowsPerSecond > 0 ? copySeconds + rowsLeft / rowsPerSecond : undefined;
  const progressed = sum(flows, (flow) => flow.fraction * flow.estimatedRows);
  const total = (of: 'waiting' | 'running' | 'done' | 'failed') =>
    sum(flows, ({ follows, batches }) => (follows ? 0 : batches[of]));
  return {
    ...{ rows, estimatedRows, rowsInFlight, bytes, rowsPerSecond, rowsLeft, copySeconds },
    fraction: copied ? 1 : estimatedRows > 0 ? progressed / estimatedRows : 0,
    bytesPerSecond: rate(bytes, recentBytes),
    wholeSeconds: copied ? copySeconds : byRate,
    batches: {
      waiting: total('waiting'),
      running: total('running'),
      done: total('done'),
      failed: total('failed'),
    },
  };
}

/** Adds the flows, builds and checks of a run up. */
export function overallProgress(parts: ProgressParts): OverallProgress {
  const { run, builds, checks, attempts } = parts;
  const copies = run.kind === 'migrate';
  const { fraction, rowsLeft, wholeSeconds, ...copying } = copyingOf(parts);
  const past = (...phases: string[]) => phases.includes(run.phase) || finished(run);
  const building = stage(builds, attempts, !copies || past('verify', 'constrain', 'finish'), {
    perCopy: buildsPerCopy,
    wholeCopy: wholeSeconds,
  });
  const checking = stage(checks, attempts, past('constrain', 'finish'), {
    perCopy: checksPerCopy,
    wholeCopy: copies ? wholeSeconds : undefined,
  });
  return {
    ...copying,
    fraction: finished(run) ? 1 : overallFraction(run.kind, fraction, building.fraction, checking.fraction),
    eta: etaOf(parts, copying.rowsPerSecond, copies ? rowsLeft : 0, [building, checking]),
  };
}
