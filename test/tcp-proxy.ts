import { createServer, Socket } from 'node:net';

/**
 * What a proxy does with what passes:
 * `pass`: hands it on.
 * `stall`: keeps it, and hands it on later.
 * `drop`: swallows it, in both directions, without a word: as when a host vanishes or a firewall forgets a connection.
 * `cut`: every connection is ended, and so is each new one.
 */
export type ProxyMode = 'pass' | 'stall' | 'drop' | 'cut';

/** A network between a test's processes and one server. */
export interface TcpProxy {
  port: number;
  /** Changes what becomes of all connections. What was once dropped stays dropped: such a connection never recovers. */
  set(mode: ProxyMode): void;
  /** The URL with this proxy in the server's place. */
  urlOf(url: string): string;
  close(): Promise<void>;
}

/** After so long the keepalive of either end would have found out. */
const droppedForMs = 25_000;

interface Link {
  ends: [Socket, Socket];
  dropped: boolean;
}

/** Starts a proxy on loopback, in mode `pass`, in front of the server that `url` names. */
export async function startTcpProxy(url: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(url);
  const links = new Set<Link>();
  let mode: ProxyMode = 'pass';

  const cut = (link: Link) => {
    links.delete(link);
    for (const end of link.ends) end.destroy();
  };
  const apply = (link: Link) => {
    if (mode === 'cut') return cut(link);
    if (mode === 'drop' && !link.dropped) {
      link.dropped = true;
      setTimeout(() => cut(link), droppedForMs).unref();
    }
    for (const end of link.ends) {
      if (mode === 'stall') end.pause();
      else end.resume();
    }
  };
  const join = (link: Link, from: Socket, to: Socket) => {
    from.on('data', (chunk) => {
      if (link.dropped) return;
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => {
      if (mode !== 'stall') from.resume();
    });
    from.on('error', () => {});
    // An end, too, is a packet that can be dropped.
    from.on('close', () => {
      if (!link.dropped) to.destroy();
      if (to.destroyed) links.delete(link);
    });
  };

  const server = createServer((near) => {
    const far = new Socket();
    const link: Link = { ends: [near, far], dropped: false };
    links.add(link);
    join(link, near, far);
    join(link, far, near);
    apply(link);
    if (mode === 'pass' || mode === 'stall') far.connect(Number(port), hostname);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const own = (server.address() as { port: number }).port;
  return {
    port: own,
    set(next) {
      mode = next;
      for (const link of [...links]) apply(link);
    },
    urlOf(original) {
      const changed = new URL(original);
      changed.hostname = '127.0.0.1';
      changed.port = String(own);
      return changed.href;
    },
    async close() {
      for (const link of [...links]) cut(link);
      await new Promise((done) => server.close(done));
    },
  };
}
