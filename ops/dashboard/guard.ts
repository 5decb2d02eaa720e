import type { Context, MiddlewareHandler } from 'hono';

const loopbackNames = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;

/** Whether an address is this machine talking to itself. */
export const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|::1)$/i.test(host);

/**
 * Nothing a page shows may come from, or go to, anywhere else. Bull Board styles its elements inline; scripts are
 * files of its own.
 */
const contentPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const headers = {
  'content-security-policy': contentPolicy,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-frame-options': 'DENY',
};

/** Who may ask for what. */
export interface GuardOptions {
  /** Whether it is served to this machine only. There is no login, so elsewhere nothing can be changed. */
  loopback: boolean;
  /** The paths of requests that change something. */
  mayPut(path: string): boolean;
}

/** Whether a request comes from a page of this very address, as its browser says. */
function isSameOrigin(c: Context): boolean {
  const [origin, site] = [c.req.header('origin'), c.req.header('sec-fetch-site') ?? 'same-origin'];
  return origin === `http://${c.req.header('host')}` && site === 'same-origin';
}

const looking =
  'The dashboard only looks, but for Retry on localhost. Runs are changed with the rowfleet command.';

function refusalOf(c: Context, { loopback, mayPut }: GuardOptions): Response | undefined {
  if (loopback && !loopbackNames.test(c.req.header('host') ?? ''))
    return c.text('This address serves localhost only.\n', 403);
  const { method, path } = c.req;
  if (method === 'GET' || method === 'HEAD') return undefined;
  // Bull Board shows what such an answer says.
  if (method !== 'PUT' || !loopback || !mayPut(path))
    return c.json({ error: 'Not done', message: looking }, 405, { allow: 'GET, HEAD' });
  if (isSameOrigin(c)) return undefined;
  return c.json({ error: 'Not done', message: 'Only a page of this address may ask for that.' }, 403);
}

/**
 * Stands before every route. The dashboard looks, so that GET and HEAD pass, and PUT of what may be changed, from a page of
 * its own: no page elsewhere can make a browser change anything here. On loopback the Host must be a loopback name,
 * or a foreign name that resolves to 127.0.0.1 (DNS rebinding) could read it.
 */
export function guard(options: GuardOptions): MiddlewareHandler {
  return async (c, next) => {
    const refusal = refusalOf(c, options);
    if (refusal) c.res = refusal;
    else await next();
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value);
    if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store');
  };
}
