// The control plane: durable changes, a long list, and pages of a very long audit log while the proxy serves.
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { allPages, apiClient, repeat, summary } from '../lib/api.mjs';
import { SMALL_PATH, startBroker, startSmallUpstream } from '../lib/peers.mjs';
import { runProgram } from '../lib/program.mjs';
import { atMost, noTarget, table } from '../lib/report.mjs';
import { figure } from '../lib/stats.mjs';
import { load, tool } from '../lib/tools.mjs';

const PAGE_MS = 50;
const LOAD = { connections: 4, rate: 200, seconds: 20 }; // light: what a search must not notice, nor be noticed by

const control = async (peer, args, input = '') => JSON.parse(await runProgram(tool('control_bench'), [peer.broker.config, ...args], input));
const ms = (us) => `${figure(us / 1000)} ms`;
const bytes = (path) => { try { return statSync(path).size; } catch { return 0; } };

/** Waits until the index has taken in everything: a file that no longer grows while the broker rests. */
async function indexed(state, seconds = 600) {
  const path = join(state, 'search.db');
  const began = Date.now();
  let size = -1;
  let changed = began;
  while (Date.now() - changed < 3000) {
    const now = bytes(path) + bytes(`${path}-wal`);
    if (now !== size) [size, changed] = [now, Date.now()];
    if (Date.now() - began > seconds * 1000) throw new Error('the search index is not done');
    await new Promise((done) => setTimeout(done, 100));
  }
  return { seconds: (changed - began) / 1000, bytes: size };
}

/** A page each of many different questions of one kind. */
function questions(facts, keyIds, count) {
  const span = facts.last_ms - facts.first_ms;
  const lines = [];
  const each = (label, make) => {
    for (let i = 0; i < count; i++) lines.push([label, ...make(i, (n) => (i * 7919 + 13) % n)].join('\t'));
  };
  const time = (i) => Math.round(facts.first_ms + span * ((i * 0.618034) % 1));
  each('newest', () => []);
  each('key', (i, pick) => [`key=${keyIds[pick(keyIds.length)]}`]);
  each('holder', (i, pick) => [`holder=holder-${pick(facts.holders)}`]);
  each('connection', (i, pick) => [`conn=upstream-${pick(facts.conns)}`, `cursor=${1 + Math.floor(facts.rows * ((i * 0.618034) % 1))}`]);
  each('time', (i) => [`since=${time(i)}`, `until=${time(i) + 60000}`]);
  each('decision, all but some', (i) => ['decision=allowed', `cursor=${1 + Math.floor(facts.rows * ((i * 0.618034) % 1))}`]);
  each('decision, 1 in 100', (i) => ['decision=denied', `cursor=${1 + Math.floor(facts.rows * ((i * 0.618034) % 1))}`]);
  each('decision, 1 in 1,000,000', () => ['decision=locked']);
  each('status', () => ['status=429']);
  each('request id', () => [`request=${facts.request}`]);
  each('client', (i, pick) => [`client=10.0.${pick(78)}.${pick(250)}`]);
  each('client /24', (i, pick) => [`client=10.0.${pick(78)}.0/24`, 'order=2']);
  each('key and decision', (i, pick) => [`key=${keyIds[pick(keyIds.length)]}`, 'decision=denied']);
  each('connection and status', (i, pick) => [`conn=upstream-${pick(facts.conns)}`, 'status=429']);
  each('model, environment and time', (i) => ['model=gpt-5', 'env=staging', `since=${time(i)}`]);
  each('two that never meet', () => ['decision=locked', 'status=429']);
  each('two common ones that never meet', () => ['provider=stripe', 'model=gpt-5']);
  return `${lines.join('\n')}\n`;
}

export async function run({ dir, quick }) {
  const rows = quick ? 1_000_000 : 10_000_000;
  const keys = quick ? 10_000 : 100_000;
  const upstream = await startSmallUpstream(dir);
  const peer = await startBroker(dir, upstream, {});
  const state = dirname(peer.broker.config);

  // (a) durable changes
  const writes = [];
  for (const clients of [1, 16]) {
    const w = await control(peer, ['issue', 'bench', clients, quick ? 1 : 4]);
    writes.push(['control socket', clients, figure(w.n / w.seconds), ms(w.p50), ms(w.p99)]);
  }
  let api = await apiClient(peer.broker);
  const issue = (n) => api.ask('POST', '/api/v1/relay-keys', { holder: { kind: 'agent', name: `api-${n % 16}` },
    grants: [{ connection_id: 'bench', allowed_methods: ['GET'], allowed_paths: ['/**'] }] });
  for (const clients of [1, 16]) {
    const w = await repeat(clients, quick ? 1 : 4, issue);
    writes.push(['HTTPS', clients, figure(w.n / w.seconds), ms(w.p50), ms(w.p99)]);
  }
  api.close();

  const ids = (await peer.broker.lines(['key', 'list'])).map((k) => k.id).slice(0, 1000);

  // (b) a long list
  await peer.stop();
  await runProgram(tool('fill_keys'), [peer.broker.config, keys, 1]);
  await peer.broker.launch();
  const whole = await control(peer, ['keys', 0]);
  const paged = await control(peer, ['keys', 200]);
  api = await apiClient(peer.broker);
  const overHttps = await allPages(api, '/api/v1/relay-keys');
  api.close();
  if (overHttps.entries !== whole.entries) throw new Error(`${whole.entries} keys in one list, ${overHttps.entries} over HTTPS`);
  if (whole.entries <= keys || paged.entries !== whole.entries) throw new Error(`${whole.entries} keys in one list, ${paged.entries} in pages`);

  // (c) a long audit log
  await peer.stop();
  const before = bytes(join(state, 'journal.db'));
  const filling = Date.now();
  const facts = JSON.parse(await runProgram(tool('fill_audit'), [peer.broker.config, rows], `${ids.join('\n')}\n`));
  const filled = (Date.now() - filling) / 1000;
  const journal = bytes(join(state, 'journal.db')) - before;
  await peer.broker.launch();
  const index = await indexed(state);
  const count = quick ? 20 : 100;
  const seconds = quick ? 10 : LOAD.seconds;
  const [served, pages] = await Promise.all([
    load(dir, peer, SMALL_PATH, { ...LOAD, seconds }),
    control(peer, ['audit'], questions(facts, ids, count)),
  ]);

  api = await apiClient(peer.broker);
  const asked = { key: (i) => `key_id=${ids[(i * 7919 + 13) % ids.length]}`, decision: () => 'decision=denied', 'rare decision': () => 'decision=locked',
    time: (i) => `since=${new Date(facts.first_ms + (facts.last_ms - facts.first_ms) * ((i * 0.618034) % 1)).toISOString()}` };
  const apiRows = [];
  for (const [label, query] of Object.entries(asked)) {
    const took = [];
    for (let i = 0; i < count; i++) {
      const from = performance.now();
      await api.ask('GET', `/api/v1/audit?limit=50&${query(i)}`);
      took.push((performance.now() - from) * 1000);
    }
    const p = summary(took, 1);
    apiRows.push([label, ms(p.p50), ms(p.p99), ...atMost(p.p99 / 1000, PAGE_MS, `${PAGE_MS} ms`)]);
  }
  api.close();

  const pageRows = Object.entries(pages).map(([label, p]) => [label, figure(p.entries / p.n), ms(p.p50), ms(p.p99), ...atMost(p.p99 / 1000, PAGE_MS, `${PAGE_MS} ms`)]);
  return `Relay keys issued, each one durable before its answer:

${table(['through', 'clients', 'writes/s', 'p50', 'p99'], writes)}

A list of ${whole.entries} relay keys: whole in ${figure(whole.ms)} ms; in pages of 200 by cursor ${figure(paged.ms)} ms, a page p50 ${ms(paged.p50)}, p99 ${ms(paged.p99)}; over HTTPS ${figure(overHttps.seconds * 1000)} ms, a page p50 ${ms(overHttps.p50)}, p99 ${ms(overHttps.p99)}.

${facts.rows} audit rows (${figure(journal / facts.rows)} bytes a row, filled in ${figure(filled)} s); the search index took ${figure(index.seconds)} s (${figure(facts.rows / index.seconds / 1000)} thousand rows/s) and ${figure(index.bytes / facts.rows)} bytes a row. Pages of 50 entries, ${count} questions of each kind, while the proxy serves ${LOAD.rate} requests/s (p50 ${ms(served.p50)}, p99 ${ms(served.p99)}):

${table(['page by', 'entries', 'p50', 'p99', 'target', 'verdict'], pageRows)}

The same over HTTPS, one client:

${table(['page by', 'p50', 'p99', 'target', 'verdict'], apiRows)}

${table(['figure', 'value', 'target', 'verdict'], [['errors of the proxy meanwhile', served.errors, ...(served.errors ? ['0', 'missed'] : noTarget)]])}`;
}
