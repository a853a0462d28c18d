// What one request at a time waits longer than it would without a proxy.
import { SMALL_PATH, startBroker, startHaproxy, startNginx, startSmallUpstream } from '../lib/peers.mjs';
import { atMost, noTarget, table } from '../lib/report.mjs';
import { inRounds } from '../lib/rounds.mjs';
import { median, us } from '../lib/stats.mjs';
import { fsyncCost, load } from '../lib/tools.mjs';

const OWN_US = 100; // beside the one fsync
const NORMAL_TO_NGINX = 1.5;
const BUSY = 3; // times the quickest writes: then the median is the scheduler's

export async function run({ dir, quick }) {
  const seconds = quick ? 1 : 4;
  const rounds = quick ? 1 : 5;
  const upstream = await startSmallUpstream(dir);
  const full = await startBroker(dir, upstream, { name: 'relaykey, sync full' });
  const normal = await startBroker(dir, upstream, { name: 'relaykey, sync normal', sync: 'normal' });
  const nginx = await startNginx(dir, upstream);
  const haproxy = await startHaproxy(dir, upstream);
  nginx.key = haproxy.key = full.key;
  const disk = { name: 'disk' };
  const results = await inRounds([upstream, disk, nginx, haproxy, full, normal], rounds, (peer) =>
    (peer === disk ? fsyncCost(dir) : load(dir, peer, SMALL_PATH, { connections: 1, seconds, warm: 0.5 })));

  const of = (peer, p) => median(results[peer.name].map((r) => r[p]));
  const added = (peer, p) => median(results[peer.name].map((r, round) => r[p] - results.direct[round][p]));
  const busy = of(disk, 'p50') > BUSY * of(disk, 'p10');
  const verdicts = new Map([
    [full, () => (busy ? ['', 'none'] : atMost(added(full, 'p50'), of(disk, 'p50') + OWN_US, us(of(disk, 'p50') + OWN_US)))],
    [normal, () => atMost(added(normal, 'p50'), NORMAL_TO_NGINX * added(nginx, 'p50'), us(NORMAL_TO_NGINX * added(nginx, 'p50')))],
  ]);
  const rows = [upstream, nginx, haproxy, full, normal].map((peer) => [peer.name, us(of(peer, 'p50')), us(of(peer, 'p99')),
    ...(peer === upstream ? ['', ''] : [us(added(peer, 'p50')), us(added(peer, 'p99'))]), ...(verdicts.get(peer)?.() ?? noTarget)]);
  return `One connection, ${rounds} rounds of ${seconds} s. An 8 KiB write with fdatasync in this directory takes `
    + `${us(of(disk, 'p50'))} (p10 ${us(of(disk, 'p10'))}, p99 ${us(of(disk, 'p99'))}).
${busy ? 'That is the wait for a processor more than for the disk: a machine this busy gives no verdict on it.\n' : ''}

${table(['way', 'p50', 'p99', 'added p50', 'added p99', 'target of added p50', 'verdict'], rows)}`;
}
