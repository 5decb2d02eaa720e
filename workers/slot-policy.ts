/** Between how many tasks of a kind a process may do at the same time, and with how many it begins. */
export interface SlotRange {
  floor: number;
  ceiling: number;
  start: number;
}

/** Where the search for the right number of slots stands. */
export interface SlotState {
  slots: number;
  /** A slot was added: what the process moved before, in bytes a second, and readings until it is judged. */
  trial: { bytesPerSecond: number; readings: number } | null;
  /** Readings until another slot is tried. */
  rest: number;
  /** Trials in a row that gained nothing: the next one waits twice as long. */
  inVain: number;
}

/** What was seen since the last reading. */
export interface SlotReading {
  /** Whether every slot had something to do: only then does the rate say what more slots would do. */
  busy: boolean;
  bytesPerSecond: number;
  /** Milliseconds that the target takes to answer the heartbeat, and what it takes when it is well. */
  latencyMs: number;
  usualLatencyMs: number;
}

/** A new state, and why the number of slots changed; null where it did not. */
export interface SlotStep {
  state: SlotState;
  reason: string | null;
}

/** A slot that is worth it moves at least this much more. */
const gain = 1.05;

/** The first reading after a change holds some of both. */
const readingsOfTrial = 2;

/** Readings of rest after trouble; after trials in vain from half of it up to four times as much. */
const restAfterTrouble = 6;

/** An answer that takes a second, and ten times as long as usual, is that of a server with too much to do. */
const slow = { ms: 1_000, times: 10 };

export const initialSlots = ({ start }: SlotRange): SlotState => ({
  slots: start,
  trial: null,
  rest: 0,
  inVain: 0,
});

/** Half as many slots at once: a server refused connections, locks or memory. */
export function afterTrouble(state: SlotState, { floor }: SlotRange, code: string): SlotStep {
  const slots = Math.max(floor, Math.floor(state.slots / 2));
  return {
    state: { slots, trial: null, rest: restAfterTrouble, inVain: 0 },
    reason: slots === state.slots ? null : `an attempt failed of ${code}`,
  };
}

function judge(state: SlotState, trial: NonNullable<SlotState['trial']>, rate: number): SlotStep {
  if (trial.readings > 1)
    return { state: { ...state, trial: { ...trial, readings: trial.readings - 1 } }, reason: null };
  if (rate >= trial.bytesPerSecond * gain)
    return { state: { ...state, trial: null, inVain: 0 }, reason: null };
  const rest = Math.min(3 * 2 ** state.inVain, 4 * restAfterTrouble);
  return {
    state: { slots: state.slots - 1, trial: null, rest, inVain: state.inVain + 1 },
    reason: 'one more moved nothing more',
  };
}

/**
 * The next number of slots: one more while each moves more rows through the process, one less when the servers take
 * long to answer. A process that is not busy stays as it is: its rate says nothing.
 */
export function nextSlots(state: SlotState, reading: SlotReading, { floor, ceiling }: SlotRange): SlotStep {
  const { latencyMs, usualLatencyMs, busy, bytesPerSecond } = reading;
  if (latencyMs > slow.ms && latencyMs > slow.times * usualLatencyMs) {
    const slots = Math.max(floor, state.slots - 1);
    const reason = slots === state.slots ? null : `the target takes ${Math.round(latencyMs)} ms to answer`;
    return { state: { slots, trial: null, rest: restAfterTrouble, inVain: 0 }, reason };
  }
  if (!busy) return { state: { ...state, trial: null }, reason: null };
  if (state.trial !== null) return judge(state, state.trial, bytesPerSecond);
  if (state.rest > 0) return { state: { ...state, rest: state.rest - 1 }, reason: null };
  if (state.slots >= ceiling) return { state, reason: null };
  const trial = { bytesPerSecond, readings: readingsOfTrial };
  return { state: { ...state, slots: state.slots + 1, trial }, reason: 'one more may move more' };
}
