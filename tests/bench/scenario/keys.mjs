// A million relay keys in the store: the start, the memory, and whether decisions are as quick as with one.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { share, usage, used } from '../lib/cpu.mjs';
import { pidsOf, rss } from '../lib/memory.mjs';
import { SMALL_PATH, startBroker, startSmallUpstream } from '../lib/peers.mjs';
import { ask } from '../lib/probe.mjs';
import { runProgram } from '../lib/program.mjs';
import { atMost, noTarget, table } from '../lib/report.mjs';
import { inRounds, middle, ratio } from '../lib/rounds.mjs';
import { figure, us } from '../lib/stats.mjs';
import { load, tool } from '../lib/tools.mjs';

const KEYS = 1_000_000;
const SAMPLE = 20_000; // keys that requests use, in turn
const START_S = 10;
const BYTES_A_KEY = 400;
const FLAT = 1.1; // what counts as flat on a machine that drifts: p50 of one connection, the keeper's CPU of many

const keeperRss = (peer) => rss(pidsOf(peer, 'keeper')[0]);

/** Fills the store of a broker and starts it again; the seconds that took. */
async function fill(dir, peer, keys) {
  await peer.stop();
  const began = Date.now();
  const sample = await runProgram(tool('fill_keys'), [peer.broker.config, keys, Math.min(SAMPLE, keys)]);
  peer.keysFile = join(dir, 'keys-sample');
  writeFileSync(peer.keysFile, sample, { mode: 0o600 });
  [peer.key] = sample.split('\n');
  const filled = Date.now();
  await peer.broker.launch();
  return { filling: (filled - began) / 1000, start: (Date.now() - filled) / 1000 };
}

async function measure(dir, peer, options) {
  const before = usage(peer);
  const result = await load(dir, peer, SMALL_PATH, options);
  return { ...result, keeper: share(used(before, usage(peer)), 'keeper').us / result.requests };
}

export async function run({ dir, quick }) {
  const seconds = quick ? 1 : 4;
  const rounds = quick ? 1 : 4;
  const count = quick ? KEYS / 10 : KEYS;
  const upstream = await startSmallUpstream(dir);
  const one = await startBroker(dir, upstream, { name: '1 key' });
  const many = await startBroker(dir, upstream, { name: `${count} keys` });
  const took = await fill(dir, many, count);
  const total = (await many.status()).keys.total;
  if (total !== count + 1) throw new Error(`the store should hold ${count + 1} keys and has ${total}`);
  const each = (keeperRss(many) - keeperRss(one)) / count;
  for (const peer of [one, many]) await ask(peer, SMALL_PATH);

  const figures = [
    ['start until ready', `${figure(took.start)} s`, ...atMost(took.start, START_S, `${START_S} s`)],
    ['keeper\'s memory a key', `${figure(each)} bytes`, ...atMost(each, BYTES_A_KEY, `${BYTES_A_KEY} bytes`)],
  ];
  const rows = [];
  for (const connections of [1, 128]) {
    const results = await inRounds([one, many], rounds, (peer) => measure(dir, peer, { connections, seconds, warm: 0.5 }));
    for (const peer of [one, many]) {
      const all = results[peer.name];
      const to_one = (of) => ratio(all, results[one.name], of);
      const slower = connections === 1 ? to_one((r) => r.p50) : to_one((r) => r.keeper);
      rows.push([connections, peer.name, figure(middle(all, (r) => r.rps)), us(middle(all, (r) => r.p50)), us(middle(all, (r) => r.p99)),
        us(middle(all, (r) => r.keeper)), figure(slower), ...(peer === many ? atMost(slower, FLAT) : noTarget)]);
    }
  }
  return `${count} relay keys (filled in ${figure(took.filling)} s), each request with another one of ${Math.min(SAMPLE, count)}; the other broker has one key.

${table(['figure', 'value', 'target', 'verdict'], figures)}

${table(['connections', 'store', 'requests/s', 'p50', 'p99', 'keeper\'s CPU a request', 'times that of one key', 'target', 'verdict'], rows)}`;
}
