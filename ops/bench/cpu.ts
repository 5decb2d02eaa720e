import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

interface ProcessTimes {
  parent: number;
  /** Ticks that the process itself took. */
  own: number;
  /** Ticks of its children that have ended. */
  ended: number;
}

let ticks: number | undefined;
const ticksPerSecond = (): number => {
  ticks ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticks;
};

/** Of /proc/<pid>/stat; undefined for a process that has ended. */
function timesOf(pid: number): ProcessTimes | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name in parentheses may hold spaces; the third field, the state, comes behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3]);
  return { parent: field(4), own: field(14) + field(15), ended: field(16) + field(17) };
}

/** CPU seconds that a server has taken so far, with all its backends, also those that have ended (Linux). */
export function serverCpuSeconds(postmaster: number): number {
  for (;;) {
    const { own, ended } = timesOf(postmaster)!;
    const children = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => timesOf(Number(name)))
      .filter((times) => times?.parent === postmaster);
    // A backend that ended in between would be counted nowhere.
    if (timesOf(postmaster)!.ended !== ended) continue;
    return children.reduce((sum, times) => sum + times!.own, own + ended) / ticksPerSecond();
  }
}
