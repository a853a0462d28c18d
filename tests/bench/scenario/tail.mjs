// The slow requests of a busy proxy: 70 % of what each peer can do, at a constant rate of arrivals that does not
// wait for answers.
import { SMALL_PATH, startPeers, startSmallUpstream } from '../lib/peers.mjs';
import { atMost, noTarget, table } from '../lib/report.mjs';
import { inRounds, middle, ratio } from '../lib/rounds.mjs';
import { figure, sum, us } from '../lib/stats.mjs';
import { load } from '../lib/tools.mjs';

const CONNECTIONS = 128;
const SHARE = 0.7;
const TARGET = 1.5;

export async function run({ dir, quick }) {
  const seconds = quick ? 1 : 6;
  const rounds = quick ? 1 : 4;
  const peers = await startPeers(dir, await startSmallUpstream(dir));
  const results = await inRounds(peers, rounds, async (peer) => {
    const most = await load(dir, peer, SMALL_PATH, { connections: CONNECTIONS, seconds: quick ? 1 : 3, warm: 0.5 });
    const rate = Math.floor(SHARE * most.rps);
    return { most: most.rps, rate, ...await load(dir, peer, SMALL_PATH, { connections: CONNECTIONS, seconds, warm: 1, rate }) };
  });
  const rows = Object.entries(results).map(([name, all]) => {
    const to_nginx = ratio(all, results.nginx, (r) => r.p99);
    return [name, figure(middle(all, (r) => r.most)), figure(middle(all, (r) => r.rate)), figure(middle(all, (r) => r.rps)),
      us(middle(all, (r) => r.p50)), us(middle(all, (r) => r.p99)), us(middle(all, (r) => r.p999)), figure(to_nginx),
      ...(name === 'relaykey' ? atMost(to_nginx, TARGET) : noTarget), sum(all.map((r) => r.errors))];
  });
  return `${CONNECTIONS} connections, ${rounds} rounds: the maximum, then ${seconds} s at 70 % of it. Times count from when a request was due.

${table(['peer', 'maximum/s', 'offered/s', 'served/s', 'p50', 'p99', 'p99.9', 'p99 to nginx\'s', 'target', 'verdict', 'errors'], rows)}`;
}
