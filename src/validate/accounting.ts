import type { LoadedRows } from '../ledger/flows.ts';
import { faultOfJoin } from '../plan/count/join-rows.ts';
import { countSource } from '../plan/count/source-counts.ts';
import { leaderOf } from '../plan/statements/select.ts';
import type { CheckContext } from './check-context.ts';
import { flowNamed } from './flow-named.ts';
import { findJoinDetails } from './join-details.ts';
import type { CheckOutcome, CheckSpec, Finding } from './types.ts';

const nothing: LoadedRows = { rowsOut: 0, rowsIn: 0, rowsQuarantined: 0 };

/**
 * Driving rows = filtered + unmatched + quarantined + yielding, counted on the source off the copy path; and the rows
 * that the mapping yields = rows the loaders wrote, in batches and when refused rows were sent again; what batches read =
 * what they wrote and put into quarantine. Where nothing was copied the numbers are evidence only, and the count check
 * compares them with the target.
 */
export async function checkAccounting(
  ctx: CheckContext,
  spec: Extract<CheckSpec, { check: 'accounting' }>,
): Promise<CheckOutcome> {
  const flow = flowNamed(ctx.plan, spec.flow);
  const quarantined = ctx.excluded?.[leaderOf(flow)]?.driving ?? 0;
  const counts = await countSource(ctx.source, flow, quarantined);
  const evidence: Record<string, number> = { ...counts, ...(quarantined === 0 ? {} : { quarantined }) };
  const findings: Finding[] = [];
  // What the join leaves out is the same for all outputs of a flow: told once.
  const fault = faultOfJoin(flow, leaderOf(flow) === flow.name ? counts : { ...counts, unmatched: 0 });
  if (fault) {
    const summary = `flow ${flow.name}: its join ${fault.message}, which join_rows does not declare (${fault.declare})`;
    findings.push({
      check: 'join',
      relation: flow.target,
      summary,
      details: await findJoinDetails(ctx.source, flow),
    });
  }
  const copied = ctx.cancelled?.[flow.name];
  if (copied !== undefined) {
    evidence.copied = copied;
    const summary = `flow ${flow.name} was cancelled with ${counts.outputs - copied} of ${counts.outputs} rows not copied`;
    findings.push({ check: 'cancelled', relation: flow.target, summary, details: [] });
  } else if (ctx.loaded !== undefined) {
    const { rowsOut, rowsIn, rowsQuarantined, rowsMended = 0 } = ctx.loaded[flow.name] ?? nothing;
    Object.assign(evidence, { rowsOut, rowsIn }, rowsQuarantined === 0 ? {} : { rowsQuarantined });
    if (rowsMended > 0) evidence.rowsMended = rowsMended;
    // What a transform makes of its rows is counted where they are made again.
    const isOther = flow.transform === undefined && counts.outputs !== rowsIn + rowsMended;
    if (isOther || rowsOut !== rowsIn + rowsQuarantined) {
      const set = rowsQuarantined === 0 ? '' : `, ${rowsQuarantined} went into quarantine`;
      const later = rowsMended === 0 ? '' : `, ${rowsMended} were loaded later`;
      const summary = `flow ${flow.name}: the source yields ${counts.outputs} rows, the loaders read ${rowsOut} and wrote ${rowsIn}${set}${later}`;
      findings.push({ check: 'accounting', relation: flow.target, summary, details: [] });
    }
  }
  return { rows: counts.driving, findings, evidence };
}
