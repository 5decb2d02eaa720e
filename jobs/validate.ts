/** Makes one check. Payload: Doorbell. Served by validators. */
export const validateJob = { queue: 'validate', name: 'check', task: 'check' } as const;
