/** Brings one captured object back, or does one finishing step. Payload: Doorbell. Served by loaders. */
export const buildJob = { queue: 'build', name: 'build', task: 'build' } as const;
