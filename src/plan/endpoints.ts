import { usageError } from '../errors.ts';
import { type Endpoint, endpointFromSettings, endpointFromUrl } from '../pg/endpoint.ts';
import type { EndpointSpec } from './plan.ts';

/** What a plan's `${VARIABLE}` are taken from; usually process.env. */
export type Environment = Record<string, string | undefined>;

function expand(text: string, env: Environment): string {
  return text.replace(/\$\{([A-Za-z_]\w*)\}/g, (_, name: string) => {
    const value = env[name];
    if (value !== undefined && value !== '') return value;
    throw usageError(
      'VARIABLE_MISSING',
      `the plan refers to \${${name}}, which is not in the environment`,
      `Set ${name} and start again.`,
    );
  });
}

/**
 * The database that a plan names, ready to connect to. In a URL a variable's value is put in as it stands, so a
 * password must be percent-encoded there. Throws a usage error that names a missing variable, never a value.
 */
export function resolveEndpoint(spec: EndpointSpec, env: Environment): Endpoint {
  const password =
    spec.passwordVariable === undefined ? undefined : expand(`\${${spec.passwordVariable}}`, env);
  if (spec.url !== undefined) {
    const variable = /^\$\{([A-Za-z_]\w*)\}$/.exec(spec.url)?.[1];
    const endpoint = endpointFromUrl(expand(spec.url, env), env, variable);
    if (password !== undefined) endpoint.config.password = password;
    return endpoint;
  }
  const settings = Object.entries(spec.settings ?? {}).map(([name, value]) => [name, expand(value, env)]);
  return endpointFromSettings(
    { ...Object.fromEntries(settings), ...(password === undefined ? {} : { password }) },
    env,
  );
}
