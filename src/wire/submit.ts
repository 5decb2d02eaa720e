import type pg from 'pg';
import type { Session } from '../pg/session.ts';
import type { CopyIn } from './copy-in.ts';
import type { CopyOut } from './copy-out.ts';

/** Hands a COPY to a session. */
export const submit = (session: Session, query: CopyIn | CopyOut): void => {
  session.query(query as unknown as pg.Submittable);
};
