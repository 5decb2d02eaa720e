import { readTypes } from '../../catalog/data-types.ts';
import { Relations, readRelations } from '../../catalog/relations.ts';
import {
  isPooled,
  readDatabaseIdentity,
  readSearchPath,
  readServer,
  type ServerFacts,
} from '../../catalog/server.ts';
import type { Session } from '../../pg/session.ts';
import type { Problems } from '../problems.ts';
import type { Side } from './context.ts';

/** Where a problem of a whole database stands: under the key that names it. */
type SideName = 'source' | 'target';

function checkServer(facts: ServerFacts, side: SideName, problems: Problems): void {
  if (facts.version < 140_000) {
    const version = Math.floor(facts.version / 10_000);
    problems.error(
      [side],
      `the ${side} is PostgreSQL ${version}; rowfleet needs 14 or later`,
      'Upgrade that server first.',
    );
  }
  if (side === 'source') return;
  if (facts.inRecovery)
    problems.error([side], 'the target is a standby and takes no writes', 'Name the primary.');
  else if (facts.readOnly)
    problems.error(
      [side],
      'default_transaction_read_only is on in the target',
      'Turn it off for this role or database.',
    );
  if (!facts.mayHoldLedger)
    problems.error(
      [side],
      `the role ${facts.role} may not create the schema rowfleet in ${facts.database}`,
      `The ledger lives there: grant create on database ${facts.database} to ${facts.role}.`,
    );
}

function checkEncodings(source: ServerFacts, target: ServerFacts, problems: Problems): void {
  const from = source.encoding;
  const to = target.encoding;
  if (from === to) return;
  if (from === 'SQL_ASCII' || to === 'SQL_ASCII') {
    const why = from === 'SQL_ASCII' ? 'what its bytes mean is not known' : 'its bytes would mean nothing';
    const whose = from === 'SQL_ASCII' ? 'source' : 'target';
    problems.error(
      [whose],
      `the ${whose}’s encoding is SQL_ASCII, the other’s is not: ${why}`,
      'Use a database with the same encoding.',
    );
  } else if (!source.convertsUtf8 || !target.convertsUtf8) {
    problems.error(['target'], `${from} cannot be converted to ${to}`, 'Use a target database in UTF8.');
  } else if (to !== 'UTF8') {
    problems.warning(
      ['target'],
      `the source is in ${from}, the target in ${to}`,
      `A row with a character that ${to} lacks fails its batch.`,
    );
  }
}

async function refusePooler(session: Session, side: SideName, problems: Problems): Promise<void> {
  if (!(await isPooled(session))) return;
  problems.error(
    [side],
    `a connection pooler stands before the ${side}`,
    'Sessions must stay with one server process, which a pooler in transaction mode does not do: name the server itself.',
  );
}

/** Both servers, before anything is looked up in them. The sessions may not be in a failed transaction. */
export async function checkDatabases(
  source: Session,
  target: Session,
  problems: Problems,
): Promise<{ source: ServerFacts; target: ServerFacts }> {
  await refusePooler(source, 'source', problems);
  await refusePooler(target, 'target', problems);
  const facts = { source: await readServer(source), target: await readServer(target) };
  checkServer(facts.source, 'source', problems);
  checkServer(facts.target, 'target', problems);
  checkEncodings(facts.source, facts.target, problems);
  return facts;
}

/** Reads what one database holds. */
export async function readSide(session: Session, facts: ServerFacts): Promise<Side> {
  return {
    session,
    facts,
    identity: await readDatabaseIdentity(session),
    searchPath: await readSearchPath(session),
    relations: new Relations(await readRelations(session)),
    types: await readTypes(session),
  };
}
