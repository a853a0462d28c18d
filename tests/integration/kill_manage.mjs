// kill -9 of the whole broker while it is being managed. After each restart: what was confirmed is there, what was
// under way is there as a whole or not at all, and every confirmed change has its audit row.
//
//   node kill_manage.mjs [rounds]     20 by default
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, sleep } from '../lib/broker.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const ROUNDS = Number(process.argv[2] ?? 20);
const MANAGERS = 6;
const GRANT = ['--conn', 'mock', '--method', '*', '--path', '/**'];

/** What each object may be found as: one state once a change is confirmed, two while it is under way. */
class Book {
  constructor() {
    this.states = new Map();
    this.confirmed = [];
    this.names = 0;
    this.broken = 0;
  }

  known(object) { return this.states.get(object)?.[0]; }

  /** Runs one change of `object` to `state`; `row` is the action that the audit log must then have. */
  async change(broker, object, state, args, row, input = '') {
    const before = this.states.get(object) ?? [undefined];
    this.states.set(object, [...before, state]);
    const got = await broker.cli([...args, '--json'], input);
    if (got.status !== 0) {
      this.broken++;
      return null;
    }
    const answer = JSON.parse(got.stdout);
    this.states.set(object, [state]);
    this.confirmed.push({ action: row, target: answer.id });
    return answer;
  }
}

/** One person at work until told to stop: keys come, get another end, go; a connection is frozen, rotated, freed. */
async function manager(broker, n, book, work) {
  const conn = `conn-${n}`;
  const ids = new Map();
  while (!work.stop) {
    const name = `k${n}-${book.names++}`;
    const key = await book.change(broker, `key ${name}`, 'active', ['key', 'issue', '--holder', `app:m${n}`, '--name', name, ...GRANT], 'key.issue');
    if (!key || work.stop) continue;
    ids.set(name, key.id);
    if (book.names % 2) await book.change(broker, `key ${name}`, 'revoked', ['key', 'revoke', key.id], 'key.revoke');
    const frozen = book.known(`conn ${conn}`) === 'frozen';
    await book.change(broker, `conn ${conn}`, frozen ? 'free' : 'frozen', ['conn', frozen ? 'enable' : 'disable', conn], frozen ? 'connection.enable' : 'connection.disable');
    const version = Math.max(...(book.states.get(`secret ${conn}`) ?? [1]));
    await book.change(broker, `secret ${conn}`, version + 1, ['conn', 'rotate', conn, '--secret-file', '-'], 'connection.rotate', `sk-manage-${n}-${version + 1}-0123456789`);
  }
}

async function found(broker) {
  const seen = new Map();
  for (const key of await broker.lines(['key', 'list'])) seen.set(`key ${key.name}`, key.state);
  for (const conn of await broker.lines(['conn', 'list'])) {
    seen.set(`conn ${conn.name}`, conn.enabled ? 'free' : 'frozen');
    seen.set(`secret ${conn.name}`, conn.credential_version);
  }
  return seen;
}

/** How often each action was done to each object. */
function count(changes) {
  const times = new Map();
  for (const { action, target } of changes) times.set(`${action} ${target}`, (times.get(`${action} ${target}`) ?? 0) + 1);
  return times;
}

async function check(broker, book, fail) {
  const seen = await found(broker);
  for (const [object, may] of book.states) {
    const is = seen.get(object);
    if (!may.includes(is)) fail(`${object} is ${is}, and may be ${may.join(' or ')}`);
    book.states.set(object, [is]);
  }
  const rows = (await broker.cli(['audit', 'export', '--format', 'jsonl'])).stdout.split('\n').filter(Boolean).map((l) => JSON.parse(l));
  const audited = count(rows.filter((r) => r.type === 'management'));
  const missing = [...count(book.confirmed)].filter(([change, times]) => (audited.get(change) ?? 0) < times);
  if (missing.length) fail(`${missing.length} kinds of confirmed changes have too few audit rows, e.g. ${missing[0][0]}`);
  const verified = await broker.json(['audit', 'verify']);
  if (!verified.ok) fail(`the chain does not verify: ${JSON.stringify(verified)}`);
}

async function main() {
  const dir = mkdtempSync(join(tmpdir(), 'relaykey-kill-manage-'));
  const upstream = await startUpstream({ dir, key: 'sk-real-manage-test-key-0123456789' });
  const broker = await Broker.start({ relays: 1 });
  const book = new Book();
  let failures = 0;

  await broker.addConnection('mock', upstream);
  for (let n = 0; n < MANAGERS; n++) {
    await broker.addConnection(`conn-${n}`, upstream);
    book.states.set(`conn conn-${n}`, ['free']);
    book.states.set(`secret conn-${n}`, [1]);
  }
  for (let round = 1; round <= ROUNDS; round++) {
    const work = { stop: false };
    const problems = [];
    const managers = Array.from({ length: MANAGERS }, (_, n) => manager(broker, n, book, work));
    await sleep(150 + Math.random() * 500);
    for (const { pid } of broker.processes().sort(() => Math.random() - 0.5)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // already gone with the supervisor
      }
    }
    work.stop = true;
    await Promise.all(managers);
    await broker.exited;
    try {
      await broker.launch();
      await broker.healthy();
      await check(broker, book, (what) => problems.push(what));
    } catch (err) {
      problems.push(`did not start again: ${err.message}`);
    }
    for (const what of problems.slice(0, 5)) console.log(`# round ${round}: ${what}`);
    if (problems.length) failures++;
    console.log(`${problems.length ? 'not ok' : 'ok'} ${round} - killed while managed: ${book.confirmed.length} changes confirmed, ${book.broken} broken off`);
    if (!broker.child || broker.child.exitCode !== null) break;
  }
  if (book.confirmed.length < 10 * ROUNDS || book.broken < ROUNDS) {
    failures++;
    console.log('not ok - too little was changed to prove anything');
  }
  await broker.end();
  await upstream.stop();
  rmSync(dir, { recursive: true, force: true });
  console.log(`# pass ${ROUNDS - failures}\n# fail ${failures}`);
  process.exit(failures ? 1 : 0);
}

await main();
