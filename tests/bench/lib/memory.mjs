// Memory of a peer's processes.
import { readFileSync } from 'node:fs';
import { sum } from './stats.mjs';

const KIB = 1024;

function field(path, name) {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(path, 'utf8'))[1]) * KIB;
}

/** Proportional set size in bytes; shared pages count in part. Processes that are not dumpable show it to root alone. */
const pss = (pid) => field(`/proc/${pid}/smaps_rollup`, 'Pss');
export const rss = (pid) => field(`/proc/${pid}/status`, 'VmRSS');

/** {bytes, what}: the PSS of all processes, or the RSS where this user may not see more. */
export function memoryOf(peer) {
  const pids = peer.pids().map(({ pid }) => pid);
  try {
    return { bytes: sum(pids.map(pss)), what: 'PSS' };
  } catch {
    return { bytes: sum(pids.map(rss)), what: 'RSS (PSS is for root)' };
  }
}

export const pidsOf = (peer, role) => peer.pids().filter((p) => p.role === role).map((p) => p.pid);
