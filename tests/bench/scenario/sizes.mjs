// Large bodies, both ways: bytes a second.
import { startBodyUpstream, startBroker, startHaproxy, startNginx } from '../lib/peers.mjs';
import { atLeast, noTarget, table } from '../lib/report.mjs';
import { inRounds, middle } from '../lib/rounds.mjs';
import { figure, median, sum } from '../lib/stats.mjs';
import { load } from '../lib/tools.mjs';

const MEGA = 1e6;
const TARGET = 1.0;
const CASES = [
  { what: '1 MB response', path: `/v1/bytes/${MEGA}`, body: 0, connections: 8 },
  { what: '1 MB upload', path: '/v1/sink', body: MEGA, connections: 8 },
  { what: '100 MB response', path: `/v1/bytes/${100 * MEGA}`, body: 0, connections: 4 },
  { what: '100 MB upload', path: '/v1/sink', body: 100 * MEGA, connections: 4 },
];

/** A peer may have two ways of doing it; the better one in a round is its figure. */
function best(results, names, round) {
  return Math.max(...names.map((name) => results[name][round].rate));
}

function rowsOf({ what, connections }, results, direct, nginx) {
  return Object.entries(results).map(([name, all]) => {
    const to = (names) => median(all.map((r, round) => r.rate / best(results, names, round)));
    const to_nginx = to(nginx);
    return [`${what}, ${connections} at once`, name, figure(middle(all, (r) => r.rate / MEGA)), figure(to_nginx),
      ...(name === 'relaykey' ? atLeast(to_nginx, TARGET) : noTarget), figure(to([direct])), sum(all.map((r) => r.errors))];
  });
}

export async function run({ dir, quick }) {
  const seconds = quick ? 1 : 3;
  const rounds = quick ? 1 : 3;
  const upstream = await startBodyUpstream(dir);
  const broker = await startBroker(dir, upstream);
  const nginx = [
    await startNginx(dir, upstream, { name: 'nginx, buffering off', buffering: false }),
    await startNginx(dir, upstream, { name: 'nginx, buffering on' }),
  ];
  const peers = [upstream, ...nginx, await startHaproxy(dir, upstream), broker];
  for (const peer of peers) peer.key ??= broker.key;
  const rows = [];
  for (const one of CASES) {
    const results = await inRounds(peers, rounds, async (peer) => {
      const { connections, path, body } = one;
      const r = await load(dir, peer, path, { connections, seconds, warm: 0.5, body });
      return { errors: r.errors, rate: (r.received + r.sent) / r.seconds };
    });
    rows.push(...rowsOf(one, results, upstream.name, nginx.map((peer) => peer.name)));
  }
  return `${rounds} rounds of ${seconds} s; the ratio is to the better of the two nginx. "direct" is the client at the upstream, without a
proxy: near it, client and upstream are what is measured.

${table(['what', 'peer', 'MB/s', 'ratio to nginx', 'target', 'verdict', 'ratio to direct', 'errors'], rows)}`;
}
