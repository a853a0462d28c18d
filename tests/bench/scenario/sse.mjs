// Event streams: how long until the first byte, and how late each event is. Every event carries the time at which
// the upstream sent it; all clocks are the machine's monotonic one.
import { startBodyUpstream, startBroker, startHaproxy, startNginx } from '../lib/peers.mjs';
import { atMost, table } from '../lib/report.mjs';
import { inRounds, middle, ratio } from '../lib/rounds.mjs';
import { figure, sum, us } from '../lib/stats.mjs';
import { readEvents } from '../lib/tools.mjs';

const EVENTS = 20; // a stream, then the next one begins
const LOADS = [{ streams: 1, period_ms: 5 }, { streams: 64, period_ms: 20 }];
const FIGURES = [['first byte p50', 'first50'], ['first byte p99', 'first99'], ['event p50', 'delay50'], ['event p99', 'delay99']];
const TARGET = 1.0;
const ENOUGH = 1000; // streams, for a 99th percentile that is not the worst one

export async function run({ dir, quick }) {
  const seconds = quick ? 1 : 5;
  const rounds = quick ? 1 : 3;
  const upstream = await startBodyUpstream(dir);
  const broker = await startBroker(dir, upstream);
  const peers = [upstream, await startNginx(dir, upstream, { buffering: false }), await startHaproxy(dir, upstream), broker];
  for (const peer of peers) peer.key ??= broker.key;
  const times = [], verdicts = [];
  for (const { streams, period_ms } of LOADS) {
    const path = `/v1/events/${EVENTS}/${period_ms * 1000}`;
    const results = await inRounds(peers, rounds, (peer) => readEvents(dir, peer, path, { streams, seconds }));
    for (const [name, all] of Object.entries(results)) {
      times.push([streams, name, ...FIGURES.map(([, of]) => us(middle(all, (r) => r[of]))),
        sum(all.map((r) => r.events)), sum(all.map((r) => r.errors))]);
    }
    for (const [what, of] of FIGURES) {
      if (of === 'first99' && sum(results.relaykey.map((r) => r.streams)) < ENOUGH) continue;
      const to_nginx = ratio(results.relaykey, results.nginx, (r) => r[of]);
      verdicts.push([streams, what, figure(to_nginx), ...atMost(to_nginx, TARGET)]);
    }
  }
  return `${rounds} rounds of ${seconds} s, ${EVENTS} events a stream, ${LOADS.map((l) => `each ${l.period_ms} ms with ${l.streams}`).join(', ')}; nginx with proxy_buffering off. The first byte of the broker's
answer comes after the fsync of the request's audit row.

${table(['streams', 'peer', ...FIGURES.map(([what]) => what), 'events', 'errors'], times)}

${table(['streams', 'figure', 'relaykey to nginx', 'target', 'verdict'], verdicts)}`;
}
