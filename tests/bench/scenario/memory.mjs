// Memory at rest, and what an idle client connection takes.
import { execFileSync } from 'node:child_process';
import { sleep } from '../../lib/broker.mjs';
import { memoryOf } from '../lib/memory.mjs';
import { SMALL_PATH, startBroker, startNginx, startSmallUpstream } from '../lib/peers.mjs';
import { ask } from '../lib/probe.mjs';
import { atMost, noTarget, table } from '../lib/report.mjs';
import { figure } from '../lib/stats.mjs';
import { hold, load } from '../lib/tools.mjs';

const KIB = 1024, MIB = 1024 * 1024;
const AT_REST_MIB = 64;
const IDLE_KIB = 20;
const HELD = 10000;
const SPARE_DESCRIPTORS = 1000; // of a worker that gets all connections, for its other files

const mib = (bytes) => `${figure(bytes / MIB)} MiB`;

/** As many as the machine's limits allow; the ports of one client address are one of them. */
function connections(quick) {
  const files = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }));
  return Math.min(quick ? 1000 : HELD, Number.isFinite(files) ? files - SPARE_DESCRIPTORS : HELD);
}

async function measure(dir, peer, count, quick) {
  const fresh = memoryOf(peer);
  await load(dir, peer, SMALL_PATH, { connections: 128, seconds: quick ? 1 : 3, warm: 0.5 });
  await sleep(quick ? 500 : 3000);
  const rested = memoryOf(peer);
  const held = await hold(dir, peer, SMALL_PATH, count);
  await sleep(quick ? 200 : 2000);
  const during = memoryOf(peer);
  const last = await held.release();
  await sleep(quick ? 500 : 3000);
  return { fresh, rested, held: held.held, still: last.held, errors: last.errors, each: (during.bytes - rested.bytes) / held.held, after: memoryOf(peer) };
}

export async function run({ dir, quick }) {
  const upstream = await startSmallUpstream(dir);
  const relaykey = await startBroker(dir, upstream);
  const nginx = await startNginx(dir, upstream);
  nginx.key = relaykey.key;
  const count = connections(quick);
  const rows = [];
  let what;
  for (const peer of [nginx, relaykey]) {
    await ask(peer, SMALL_PATH);
    const r = await measure(dir, peer, count, quick);
    const own = peer === relaykey;
    what = r.fresh.what;
    // pages that processes share count in each of them where only the RSS can be seen: nothing to judge by
    const rest = ({ bytes }) => (own && what === 'PSS' ? atMost(bytes / MIB, AT_REST_MIB, `${AT_REST_MIB} MiB`) : noTarget);
    rows.push([peer.name, 'at rest, started', mib(r.fresh.bytes), ...rest(r.fresh)]);
    rows.push([peer.name, 'at rest, after load', mib(r.rested.bytes), ...rest(r.rested)]);
    rows.push([peer.name, `an idle connection (${r.still} of ${count} held, ${r.errors} errors)`, `${figure(r.each / KIB)} KiB`,
      ...(own ? atMost(r.each / KIB, IDLE_KIB, `${IDLE_KIB} KiB`) : noTarget)]);
    rows.push([peer.name, 'after they have left', mib(r.after.bytes), ...noTarget]);
  }
  return `${what}, all processes of a peer; TLS connections that made one request each. What the kernel holds for sockets is not in it.

${table(['peer', 'what', 'memory', 'target', 'verdict'], rows)}`;
}
