import { afterAll } from 'vitest';

/** Files that share their imports share an environment too: each leaves it as it found it. */
const before = { ...process.env };
afterAll(() => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
});
