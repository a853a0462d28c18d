// kill -9 of the whole broker at random moments under load. After each: every request that the upstream saw has its
// audit row, the chain verifies, and the broker starts again by itself.
//
//   node kill.mjs [rounds]     50 by default
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, sleep } from '../lib/broker.mjs';
import { request } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const ROUNDS = Number(process.argv[2] ?? 50);
const CLIENTS = 16;

async function load(broker, key, state) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  while (!state.stop) {
    const path = `/mock/k/${state.next++}`;
    try {
      const res = await request(broker, 'GET', path, { key, agent });
      if (res.status === 200) state.answered++;
      else state.refused++;
    } catch {
      state.broken++;
      await sleep(5);
    }
  }
  agent.destroy();
}

async function main() {
  const dir = mkdtempSync(join(tmpdir(), 'relaykey-kill-'));
  const upstream = await startUpstream({ dir, key: 'sk-real-kill-test-key-0123456789' });
  const broker = await Broker.start();
  await broker.addConnection('mock', upstream);
  const { key } = await broker.issueKey('mock');
  const state = { next: 0, answered: 0, refused: 0, broken: 0 };
  let failures = 0;
  let bad = 0;
  const fail = (round, what) => { bad++; console.log(`# round ${round}: ${what}`); };

  for (let round = 1; round <= ROUNDS; round++) {
    bad = 0;
    state.stop = false;
    const clients = Array.from({ length: CLIENTS }, () => load(broker, key, state));
    await sleep(50 + Math.random() * 400);
    const pids = broker.processes().map((p) => p.pid);
    // the supervisor last in the list's order is not guaranteed to die first: kill in random order
    for (const pid of pids.sort(() => Math.random() - 0.5)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // already gone with the supervisor
      }
    }
    state.stop = true;
    await Promise.all(clients);
    await broker.exited;
    try {
      await broker.launch();
      await broker.healthy();
      if ((await request(broker, 'GET', '/mock/after', { key })).status !== 200) fail(round, 'no service after the restart');
    } catch (err) {
      fail(round, `did not start again: ${err.message}`);
      failures++;
      console.log(`not ok ${round} - killed and started again`);
      break;
    }
    const verified = await broker.json(['audit', 'verify']);
    if (!verified.ok) fail(round, `the chain does not verify: ${JSON.stringify(verified)}`);
    const rows = (await broker.cli(['audit', 'export', '--format', 'jsonl'])).stdout.split('\n').filter(Boolean).map((l) => JSON.parse(l));
    const requests = rows.filter((r) => r.type === 'request' && r.decision === 'allowed');
    const audited = new Set(requests.map((r) => r.path));
    const lost = upstream.seen.filter((r) => !audited.has(r.path));
    if (lost.length) fail(round, `${lost.length} requests reached the upstream without an audit row, e.g. ${lost[0].path}`);
    const closed = new Set(rows.filter((r) => r.type === 'response').map((r) => r.request_id));
    const open = requests.filter((r) => !closed.has(r.request_id) && r.path !== '/v1/after');
    if (open.length) fail(round, `${open.length} requests were never completed in the journal`);
    if (bad) failures++;
    console.log(`${bad ? 'not ok' : 'ok'} ${round} - killed and started again: ${upstream.seen.length} seen upstream, ${requests.length} audited`);
  }
  console.log(`# ${state.answered} answered, ${state.refused} refused, ${state.broken} broken by kills, ${upstream.seen.length} reached the upstream`);
  if (upstream.complaints.length) { failures++; console.log(`not ok - ${upstream.complaints[0]}`); }
  if (state.answered < ROUNDS) { failures++; console.log('not ok - too little load to prove anything'); }
  await broker.end();
  await upstream.stop();
  rmSync(dir, { recursive: true, force: true });
  console.log(`# pass ${ROUNDS - failures}\n# fail ${failures}`);
  process.exit(failures ? 1 : 0);
}

await main();
