// What a peer's processes have used so far: CPU time and context switches, by role and thread name.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

const TICK_US = 1e6 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** schedstat counts nanoseconds where the kernel has it; stat counts ticks. */
function cpuUs(task) {
  try {
    return Number(readFileSync(`${task}/schedstat`, 'utf8').split(' ')[0]) / 1000;
  } catch {
    const stat = readFileSync(`${task}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  }
}

/** Voluntary and not. */
function switches(task) {
  const counts = readFileSync(`${task}/status`, 'utf8').matchAll(/voluntary_ctxt_switches:\s+(\d+)/g);
  return [...counts].reduce((n, [, count]) => n + Number(count), 0);
}

function accumulate(total, name, { us, switches: n }, sign = 1) {
  total[name] ??= { us: 0, switches: 0 };
  total[name].us += sign * us;
  total[name].switches += sign * n;
}

/** {"role/thread": {us, switches}}; relays, workers and threads of one name are added up. */
export function usage(peer) {
  const so_far = {};
  for (const { pid, role } of peer.pids()) {
    for (const id of readdirSync(`/proc/${pid}/task`)) {
      const task = `/proc/${pid}/task/${id}`;
      const thread = readFileSync(`${task}/comm`, 'utf8').trim();
      accumulate(so_far, `${role}/${thread}`, { us: cpuUs(task), switches: switches(task) });
    }
  }
  return so_far;
}

/** What was used between two calls of usage(). */
export function used(before, after) {
  const difference = structuredClone(after);
  for (const [name, value] of Object.entries(before)) accumulate(difference, name, value, -1);
  return difference;
}

/** Adds up several of used(). */
export function add(parts) {
  const total = {};
  for (const part of parts) {
    for (const [name, value] of Object.entries(part)) accumulate(total, name, value);
  }
  return total;
}

/** {us, switches} of a role, or of all. */
export function share(cost, role) {
  const sum = {};
  for (const [name, value] of Object.entries(cost)) {
    if (!role || name.startsWith(`${role}/`)) accumulate(sum, 'sum', value);
  }
  return sum.sum ?? { us: 0, switches: 0 };
}

/** [[thread, µs], ...] of a role, the busiest first. */
export function threads(cost, role) {
  return Object.entries(cost).filter(([name]) => name.startsWith(`${role}/`))
    .map(([name, { us }]) => [name.slice(role.length + 1), us]).sort(([, a], [, b]) => b - a);
}
