/** Copies one batch. Payload: Doorbell. Served by loaders. */
export const copyJob = { queue: 'copy', name: 'batch', task: 'batch' } as const;
