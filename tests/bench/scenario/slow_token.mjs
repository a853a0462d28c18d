// Tokens that take their time: tests/bench/slow_token.c before SoftHSM.
import { readFileSync, writeFileSync } from 'node:fs';
import { SMALL_PATH, startBroker, startSmallUpstream } from '../lib/peers.mjs';
import { ask } from '../lib/probe.mjs';
import { atLeast, noTarget, table } from '../lib/report.mjs';
import { inRounds, middle, ratio } from '../lib/rounds.mjs';
import { figure, sum, us } from '../lib/stats.mjs';
import { load, tool } from '../lib/tools.mjs';

const CONNECTIONS = 128;
const DELAYS_MS = [0, 1, 10, 100];
const TARGETS = { 10: 0.5 }; // of the throughput without delay

/** Set-up makes the token with SoftHSM itself; the shim takes its place in the configuration. */
async function startSlow(dir, upstream, ms) {
  const peer = await startBroker(dir, upstream, { name: `${ms} ms` });
  await peer.stop();
  const config = readFileSync(peer.broker.config, 'utf8');
  const [, module] = /^token-module\s+(\S+)/m.exec(config);
  writeFileSync(peer.broker.config, config.replace(/^token-module.*/m, `token-module ${tool('slow_token.so')}
token-env SLOW_TOKEN_MODULE=${module}
token-env SLOW_TOKEN_MS=${ms}`));
  await peer.broker.launch();
  await ask(peer, SMALL_PATH);
  return peer;
}

async function measure(dir, peer, seconds) {
  const before = await peer.status();
  const result = await load(dir, peer, SMALL_PATH, { connections: CONNECTIONS, seconds, warm: 0.5 });
  const after = await peer.status();
  const requests = after.requests - before.requests;
  return {
    ...result,
    unwraps: (after.token.unwraps - before.token.unwraps) / requests,
    commits: (after.audit.commits - before.audit.commits) / requests,
  };
}

export async function run({ dir, quick }) {
  const seconds = quick ? 1 : 4;
  const rounds = quick ? 1 : 3;
  const upstream = await startSmallUpstream(dir);
  const peers = [];
  for (const ms of DELAYS_MS) peers.push(await startSlow(dir, upstream, ms));
  const results = await inRounds(peers, rounds, (peer) => measure(dir, peer, seconds));
  const rows = DELAYS_MS.map((ms, i) => {
    const all = results[peers[i].name];
    const kept = ratio(all, results[peers[0].name], (r) => r.rps);
    return [peers[i].name, figure(middle(all, (r) => r.rps)), figure(kept), ...(TARGETS[ms] ? atLeast(kept, TARGETS[ms]) : noTarget),
      us(middle(all, (r) => r.p50)), us(middle(all, (r) => r.p99)), figure(middle(all, (r) => r.unwraps)),
      figure(middle(all, (r) => r.commits)), sum(all.map((r) => r.errors))];
  });
  return `${CONNECTIONS} connections, ${rounds} rounds of ${seconds} s; SoftHSM behind a module that adds to each operation.

${table(['token takes', 'requests/s', 'of that at 0 ms', 'target', 'verdict', 'p50', 'p99', 'unwraps a request', 'commits a request', 'errors'], rows)}`;
}
