import type pg from 'pg';
import { parse } from 'pg-connection-string';

/** A database that can be connected to: secrets inside, never logged. `label` is what people may see. */
export interface Endpoint {
  config: pg.ClientConfig;
  /** `host:port/database`, without user or password. */
  label: string;
}

/** Reads a libpq URL. */
export function endpointFromUrl(url: string): Endpoint {
  const { host, port, database, user, password } = parse(url);
  const config: pg.ClientConfig = {
    host: host ?? undefined,
    port: port ? Number(port) : 5432,
    database: database ?? undefined,
    user,
    password,
  };
  return { config, label: `${config.host ?? 'localhost'}:${config.port}/${config.database ?? config.user ?? ''}` };
}
