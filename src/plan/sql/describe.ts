import type pg from 'pg';
import type { Session } from '../../pg/session.ts';

/** One column of a statement's result. Domains come as the type they are over. */
export interface DescribedColumn {
  typeOid: number;
  typmod: number;
}

type RowDescription = { fields: { dataTypeID: number; dataTypeModifier: number }[] };

/**
 * Parse and Describe of the extended protocol, without Bind and Execute: the server says what a statement would
 * return, or what is wrong with it, and runs nothing. It takes exactly one statement.
 */
class Description implements pg.Submittable {
  readonly result: Promise<DescribedColumn[]>;
  #resolve!: (columns: DescribedColumn[]) => void;
  #reject!: (error: Error) => void;
  #columns: DescribedColumn[] = [];
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: pg.Connection): void {
    connection.parse({ text: this.#text, name: '', types: [] }, true);
    connection.describe({ type: 'S', name: '' }, true);
    connection.sync();
  }

  handleRowDescription(message: RowDescription): void {
    this.#columns = message.fields.map((field) => ({
      typeOid: field.dataTypeID,
      typmod: field.dataTypeModifier,
    }));
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#columns);
  }

  handleError(error: Error): void {
    this.#reject(error);
  }
}

/** What a statement would return. Rejects with the server's error; the transaction is broken then, as always. */
export function describeStatement(session: Session, text: string): Promise<DescribedColumn[]> {
  return session.query(new Description(text)).result;
}

export type Described =
  | { columns: DescribedColumn[]; error?: undefined }
  | { columns?: undefined; error: pg.DatabaseError };

/** Describes any number of statements in an open transaction that outlives their errors. */
export class Describer {
  readonly #session: Session;

  private constructor(session: Session) {
    this.#session = session;
  }

  /** Sets the savepoint that every error goes back to. */
  static async begin(session: Session): Promise<Describer> {
    await session.query('savepoint rowfleet_describe');
    return new Describer(session);
  }

  async describe(text: string): Promise<Described> {
    try {
      return { columns: await describeStatement(this.#session, text) };
    } catch (error) {
      await this.forget();
      return { error: error as pg.DatabaseError };
    }
  }

  /** The oids of the relations that a statement reads: planning it locks them, and checks the privileges. */
  async explain(
    text: string,
  ): Promise<{ reads: number[]; error?: undefined } | { reads?: undefined; error: pg.DatabaseError }> {
    await this.forget();
    try {
      await this.#session.query({ text: `explain ${text}`, queryMode: 'extended' } as pg.QueryConfig);
      const { rows } = await this.#session.query<{ oid: number }>(
        `select distinct l.relation::int8::float8 as oid from pg_catalog.pg_locks l
        where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and l.mode = 'AccessShareLock'
          and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())`,
      );
      return { reads: rows.map(({ oid }) => oid) };
    } catch (error) {
      return { error: error as pg.DatabaseError };
    } finally {
      await this.forget();
    }
  }

  /** Runs statements that only read, each for so many seconds at most. */
  async within<T>(
    seconds: number,
    read: (session: Session) => Promise<T>,
  ): Promise<{ value: T; error?: undefined } | { value?: undefined; error: unknown }> {
    try {
      await this.#session.query(`set local statement_timeout = ${Math.ceil(seconds * 1000)}`);
      return { value: await read(this.#session) };
    } catch (error) {
      return { error };
    } finally {
      await this.forget();
    }
  }

  /** Undoes an error, and gives back the locks of everything described so far. */
  async forget(): Promise<void> {
    await this.#session.query('rollback to savepoint rowfleet_describe');
  }
}
