// What a peer's processes have used so far: CPU time and context switches, by role.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

const TICK_US = 1e6 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** schedstat counts nanoseconds where the kernel has it; stat counts ticks. */
function cpuUs(pid, tasks) {
  try {
    return tasks.reduce((us, task) => us + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1000, 0);
  } catch {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  }
}

function switches(pid, tasks) {
  return tasks.reduce((n, task) => {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    return n + [...status.matchAll(/voluntary_ctxt_switches:\s+(\d+)/g)].reduce((m, [, count]) => m + Number(count), 0);
  }, 0);
}

/** {role: {us, switches}}, relays and workers added up. */
export function usage(peer) {
  const roles = {};
  for (const { pid, role } of peer.pids()) {
    const tasks = readdirSync(`/proc/${pid}/task`);
    const so_far = roles[role] ?? { us: 0, switches: 0 };
    roles[role] = { us: so_far.us + cpuUs(pid, tasks), switches: so_far.switches + switches(pid, tasks) };
  }
  return roles;
}

/** What was used between two calls of usage(). */
export function used(before, after) {
  return Object.fromEntries(Object.entries(after).map(([role, { us, switches: n }]) =>
    [role, { us: us - (before[role]?.us ?? 0), switches: n - (before[role]?.switches ?? 0) }]));
}

/** Adds up several of used(). */
export function add(parts) {
  const total = {};
  for (const part of parts) {
    for (const [role, { us, switches: n }] of Object.entries(part)) {
      total[role] = { us: (total[role]?.us ?? 0) + us, switches: (total[role]?.switches ?? 0) + n };
    }
  }
  return total;
}
