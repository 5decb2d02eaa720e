import type { MiddlewareHandler } from 'hono';

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

/**
 * Stands before every route. The dashboard only looks, so only GET and HEAD pass: no page elsewhere can make a browser
 * change anything here. On loopback the Host must be a loopback name, or a foreign name that
 * resolves to 127.0.0.1 (DNS rebinding) could read it.
 */
export function guard(options: { loopback: boolean }): MiddlewareHandler {
  return async (c, next) => {
    const refusal =
      options.loopback && !loopbackNames.test(c.req.header('host') ?? '')
        ? c.text('This address serves localhost only.\n', 403)
        : c.req.method !== 'GET' && c.req.method !== 'HEAD'
          ? c.text('The dashboard only looks. Runs are changed with the rowfleet command.\n', 405, {
              allow: 'GET, HEAD',
            })
          : undefined;
    if (refusal) c.res = refusal;
    else await next();
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value);
    if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store');
  };
}
