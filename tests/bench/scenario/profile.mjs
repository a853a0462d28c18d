// Where the time goes in the keeper and in the relays under load: samples of perf (Debian: linux-perf).
import { join } from 'node:path';
import { pidsOf } from '../lib/memory.mjs';
import { SMALL_PATH, startBroker, startSmallUpstream } from '../lib/peers.mjs';
import { runProgram } from '../lib/program.mjs';
import { table } from '../lib/report.mjs';
import { load } from '../lib/tools.mjs';

const CONNECTIONS = 128;
const SHOWN = 30;

/** perf report's samples by these keys: [[share, key, ...], ...], the largest first. */
async function report(file, keys) {
  const text = await runProgram('perf', ['report', '-q', '-i', file, '--sort', keys.join(','), '--field-separator', '|', '--percent-limit', '0.5']);
  return text.split('\n').filter((line) => line.trim() && !line.startsWith('#')).slice(0, SHOWN)
    .map((line) => line.split('|').slice(0, keys.length + 1).map((cell) => cell.trim()));
}

export async function run({ dir, quick }) {
  const seconds = quick ? 2 : 8;
  const upstream = await startSmallUpstream(dir);
  const peer = await startBroker(dir, upstream);
  const parts = [];
  await load(dir, peer, SMALL_PATH, { connections: CONNECTIONS, seconds: 1 });
  const recordings = ['keeper', 'relay'].map((role) => ({ role, file: join(dir, `perf-${role}`) }));
  const [result] = await Promise.all([
    load(dir, peer, SMALL_PATH, { connections: CONNECTIONS, seconds }),
    ...recordings.map(({ role, file }) => runProgram('perf', ['record', '-q', '-F', '997', '-e', 'cpu-clock', '-o', file,
      '-p', pidsOf(peer, role).join(','), '--', 'sleep', seconds - 0.5])),
  ]);
  for (const { role, file } of recordings) {
    parts.push(`${role}:\n\n${table(['share', 'thread', 'object'], await report(file, ['comm', 'dso']))}`);
    parts.push(table(['share', 'thread', 'function'], await report(file, ['comm', 'symbol'])));
  }
  return `${CONNECTIONS} connections, ${Math.round(result.rps)} requests/s while it was watched.\n\n${parts.join('\n\n')}`;
}
