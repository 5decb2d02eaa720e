import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { queueSchema } from '../../jobs/backend.ts';
import type { OwnServer } from '../own-server.ts';
import type { ProxyMode } from '../tcp-proxy.ts';
import type { Place, SoakFleet } from './fleet.ts';
import type { Random } from './random.ts';
import type { SoakSite } from './site.ts';

/** What a fault strikes, and by what chance. */
export interface Stage {
  site: SoakSite;
  fleet: SoakFleet;
  random: Random;
}

/** A fault that was drawn: what it is, in words, and how it happens, from beginning to end. */
export interface Fault {
  /** What two faults at a time may not both strike. */
  on: string;
  what: string;
  happen(): Promise<void>;
}

const seconds = (n: number) => sleep(n * 1000);

/** Runs `fn` in a session of the superuser, which it may lose: a fault can strike another fault. */
async function asSuperuser(server: OwnServer, fn: (session: pg.Client) => Promise<void>): Promise<void> {
  const session = new pg.Client({ connectionString: server.superuserUrl, connectionTimeoutMillis: 5_000 });
  session.on('error', () => {});
  try {
    await session.connect();
    await fn(session);
  } catch {
    // The server is away.
  } finally {
    await session.end().catch(() => {});
  }
}

const pickServer = ({ site, random }: Stage) => {
  const side = random.pick(['source', 'target'] as const);
  return { side, server: site[side] };
};

function killing({ fleet, random }: Stage, signal: 'SIGKILL' | 'SIGTERM'): Fault {
  const place = random.pick(fleet.places.filter(({ elder }) => !elder));
  const happen = async () => fleet.signal(place, signal);
  return { on: place.name, what: `${signal} to the ${place.name}`, happen };
}

function killingAll({ fleet }: Stage): Fault {
  const mortals = fleet.places.filter(({ elder }) => !elder);
  const happen = async () => {
    for (const place of mortals) fleet.signal(place, 'SIGKILL');
  };
  return { on: 'all', what: 'SIGKILL to all but the elders', happen };
}

function stopping({ fleet, random }: Stage): Fault {
  const place: Place = random.pick(fleet.places);
  const time = random.between(0.5, 12);
  const happen = async () => {
    const { child } = place;
    child.kill('SIGSTOP');
    await seconds(time);
    child.kill('SIGCONT');
  };
  return { on: place.name, what: `SIGSTOP to the ${place.name} for ${time.toFixed(1)} s`, happen };
}

function emptyingQueue({ site }: Stage): Fault {
  const happen = async () => {
    if (site.redis !== undefined) return site.redis.flush().catch(() => {});
    await asSuperuser(site.target, async (session) => {
      await session.query(`delete from ${queueSchema}.job`);
    });
  };
  return { on: 'queue', what: 'the queue is emptied', happen };
}

function restartingRedis({ site }: Stage): Fault {
  return {
    on: 'queue',
    what: 'Redis is killed and restarted empty',
    happen: async () => site.redis?.restartEmpty(),
  };
}

function restartingServer(stage: Stage): Fault {
  const { side, server } = pickServer(stage);
  const how = stage.random.pick(['fast', 'immediate'] as const);
  const time = stage.random.between(0, 6);
  const happen = async () => {
    await server.shutDown(how);
    await seconds(time);
    await server.start();
  };
  return { on: side, what: `${how} shutdown of the ${side}, away for ${time.toFixed(1)} s`, happen };
}

function troublingNetwork({ site, random }: Stage): Fault {
  const [name, proxy] = random.pick(Object.entries(site.network));
  const mode = random.pick<ProxyMode>(['stall', 'cut', 'drop']);
  const time = random.between(0.5, 12);
  const happen = async () => {
    proxy.set(mode);
    await seconds(time);
    proxy.set('pass');
  };
  return { on: `network ${name}`, what: `network to the ${name}: ${mode} for ${time.toFixed(1)} s`, happen };
}

function locking(stage: Stage): Fault {
  const { side, server } = pickServer(stage);
  const { random } = stage;
  const table = random.pick(['author', 'book', 'note', 'log']);
  const mode = random.pick(['access exclusive', 'share row exclusive']);
  const time = random.between(0.5, 6);
  const happen = () =>
    asSuperuser(server, async (session) => {
      await session.query(`set lock_timeout = '2s'; begin; lock table public.${table} in ${mode} mode`);
      await seconds(time);
      await session.query('rollback');
    });
  const what = `an application locks ${table} in the ${side} (${mode}) for ${time.toFixed(1)} s`;
  return { on: `lock ${side}`, what, happen };
}

function endingBackend(stage: Stage): Fault {
  const { side, server } = pickServer(stage);
  const happen = () =>
    asSuperuser(server, async (session) => {
      await session.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where usename = 'app' and application_name <> 'soak' order by random() limit 2`,
      );
    });
  return { on: `backends ${side}`, what: `two backends of the ${side} are terminated`, happen };
}

function refusingConnections(stage: Stage): Fault {
  const { side, server } = pickServer(stage);
  const time = stage.random.between(1, 8);
  const happen = async () => {
    const limit = (n: number) =>
      asSuperuser(server, async (session) => {
        await session.query(`alter role app connection limit ${n}`);
      });
    await limit(2);
    await seconds(time);
    await limit(-1);
  };
  return { on: side, what: `the ${side} takes no more connections for ${time.toFixed(1)} s`, happen };
}

const kinds: Record<string, (stage: Stage) => Fault> = {
  kill: (stage) => killing(stage, 'SIGKILL'),
  'kill again': (stage) => killing(stage, 'SIGKILL'),
  leave: (stage) => killing(stage, 'SIGTERM'),
  'kill all': killingAll,
  stop: stopping,
  'empty queue': emptyingQueue,
  'restart Redis': restartingRedis,
  'restart server': restartingServer,
  network: troublingNetwork,
  'network again': troublingNetwork,
  lock: locking,
  'end backends': endingBackend,
  'refuse connections': refusingConnections,
};

/** Draws the next fault. */
export function drawFault(stage: Stage): Fault & { kind: string } {
  const possible = Object.keys(kinds).filter(
    (kind) => kind !== 'restart Redis' || stage.site.redis !== undefined,
  );
  const kind = stage.random.pick(possible);
  return { kind: kind.replace(' again', ''), ...kinds[kind]!(stage) };
}
