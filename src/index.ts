/**
 * rowfleet as a library: read a plan, hold it against two databases, start and watch a run. The fleet itself
 * is started from the command line (`rowfleet scheduler`, `loader`, `validator`).
 */

export { chooseRun, resumeRun } from './control/resume.ts';
export { type StartRequest, startRun } from './control/start.ts';
export { cancelRun, stopRun } from './control/stop.ts';
export { RowfleetError } from './errors.ts';
export { type Ledger, migrateLedger, openLedger } from './ledger/ledger.ts';
export { type Endpoint, endpointFromUrl } from './pg/endpoint.ts';
export { openSession } from './pg/session.ts';
export { resolveEndpoint } from './plan/endpoints.ts';
export type { Plan } from './plan/plan.ts';
export type { PlanProblem } from './plan/problems.ts';
export { loadPlan, parsePlan } from './plan/read/parse.ts';
export { resolvePlan } from './plan/resolve/resolve.ts';
export type { ResolvedPlan } from './plan/resolved-plan.ts';
export { readProgress } from './progress/snapshot.ts';
export type { ProgressSnapshot } from './progress/types.ts';
