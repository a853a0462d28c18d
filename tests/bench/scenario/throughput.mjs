// Requests a second of small JSON, as many as go through, and what each of them costs.
import { add, share, threads, usage, used } from '../lib/cpu.mjs';
import { SMALL_PATH, startPeers, startSmallUpstream } from '../lib/peers.mjs';
import { ask } from '../lib/probe.mjs';
import { atLeast, noTarget, table } from '../lib/report.mjs';
import { inRounds, middle, ratio } from '../lib/rounds.mjs';
import { figure, sum, us } from '../lib/stats.mjs';
import { wrk } from '../lib/wrk.mjs';

const CONNECTIONS = [1, 32, 128, 512];
const TARGETS = { 32: 0.7, 128: 1.0, 512: 1.0 };
const ROLES = ['supervisor', 'keeper', 'relay', 'console', 'courier'];

async function measure(peer, load) {
  const status = peer.status ? await peer.status() : null;
  const before = usage(peer);
  const result = await wrk(peer, load);
  const cost = used(before, usage(peer));
  const after = peer.status ? await peer.status() : null;
  return {
    ...result,
    cost,
    commits: after && after.audit.commits - status.audit.commits,
    unwraps: after && after.token.unwraps - status.token.unwraps,
  };
}

function speedRows(connections, results) {
  return Object.entries(results).map(([name, rounds]) => {
    const to_nginx = ratio(rounds, results.nginx, (r) => r.rps);
    const target = name === 'relaykey' && TARGETS[connections];
    return [connections, name, figure(middle(rounds, (r) => r.rps)), figure(to_nginx),
      ...(target ? atLeast(to_nginx, target) : noTarget),
      us(middle(rounds, (r) => r.p50)), us(middle(rounds, (r) => r.p99)), sum(rounds.map((r) => r.errors))];
  });
}

function costRows(connections, results) {
  return Object.entries(results).map(([name, rounds]) => {
    const requests = sum(rounds.map((r) => r.requests));
    const cost = add(rounds.map((r) => r.cost));
    const each = (n) => figure(n / requests);
    const all = [connections, name, each(share(cost).us)];
    if (name !== 'relaykey') return [...all, ...ROLES.map(() => ''), '', each(share(cost).switches), '', '', ''];
    return [...all, ...ROLES.map((role) => each(share(cost, role).us)),
      threads(cost, 'keeper').filter(([, us_used]) => us_used / requests >= 0.01).map(([thread, us_used]) => `${thread} ${each(us_used)}`).join(', '),
      each(share(cost).switches), each(share(cost, 'keeper').switches),
      each(sum(rounds.map((r) => r.commits))), each(sum(rounds.map((r) => r.unwraps)))];
  });
}

export async function run({ dir, quick }) {
  // many connections mean many handshakes, which take their part of a short run
  const seconds = (connections) => (quick ? 1 : connections >= 512 ? 8 : 4);
  const rounds = quick ? 1 : 5;
  const peers = await startPeers(dir, await startSmallUpstream(dir));
  const speed = [], cost = [];
  for (const peer of peers) {
    await ask(peer, SMALL_PATH);
    await wrk(peer, { connections: 64, seconds: quick ? 1 : 2 });
  }
  for (const connections of CONNECTIONS) {
    const results = await inRounds(peers, rounds, (peer) => measure(peer, { connections, seconds: seconds(connections) }));
    speed.push(...speedRows(connections, results));
    cost.push(...costRows(connections, results));
  }
  return `wrk, ${rounds} rounds of ${seconds(1)} s (${seconds(512)} s with 512 connections); the ratio is the median over the rounds of the ratio in each.

${table(['connections', 'peer', 'requests/s', 'ratio to nginx', 'target', 'verdict', 'p50', 'p99', 'errors'], speed)}

A request's share of CPU time (µs; relays and workers added up), of context switches, of journal commits and of unwraps:

${table(['connections', 'peer', 'CPU µs', ...ROLES, 'threads of the keeper', 'switches', 'keeper\'s', 'commits', 'unwraps'], cost)}`;
}
