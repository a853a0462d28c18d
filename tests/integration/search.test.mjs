// Searching the audit log: every criterion with what it must not find, pages, and an index that may be lost at any time.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, relaykey, until } from '../lib/broker.mjs';
import { request } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-9c41d7aa30be5f62-upstream-only';
let dir, upstream, broker, key, other;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-search-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  broker = await Broker.start({ relays: 1, config: ['trusted-proxy 127.0.0.1'] });
  await broker.addConnection('mock', upstream, { extra: ['--provider', 'openai'] });
  await broker.addConnection('second', upstream);
  key = await broker.issueKey('mock', { holder: 'agent:finder', extra: ['--method', 'GET', '--path', '/v1/yes/**', '--env', 'ci'] });
  other = await broker.issueKey('second', { holder: 'app:other' });
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const from = (address) => ({ 'x-forwarded-for': address });
const ask = async (path, k, address) => (await request(broker, 'GET', path, { key: k, headers: from(address) })).headers['x-relaykey-request-id'];
const list = (...args) => broker.lines(['audit', 'list', '--limit', '1000', ...args]);
const seqs = async (...args) => (await list(...args)).map((e) => e.seq);
const rows = async () => (await broker.json(['audit', 'verify'])).rows;

/** A few requests of every sort; waits until the last response is in the log. */
async function traffic() {
  const ids = [
    await ask('/mock/yes/one', key.key, '203.0.113.5'),
    await ask('/mock/yes/two/parts', key.key, '203.0.113.77'),
    await ask('/mock/no', key.key, '2001:db8:1:2::5'),
    await ask('/second/things', other.key, '198.51.100.9'),
    await ask('/second/things', 'rk_app_wrong', '198.51.100.9'),
  ];
  await until(async () => (await list('--request', ids[3])).some((e) => e.outcome), 'the last response');
  return ids;
}

test('each criterion finds what has it and nothing else', async () => {
  const [one, two, denied, second, wrong] = await traffic();
  const all = (await list()).filter((e) => [one, two, denied, second, wrong].includes(e.request_id));
  const found = async (...args) => {
    const got = new Set((await list(...args)).map((e) => e.seq));
    return all.filter((e) => got.has(e.seq)).map((e) => e.request_id);
  };
  assert.equal(all.length, 5);
  for (const [args, expected] of [
    [['--holder', 'agent:finder'], [one, two, denied]],
    [['--holder', 'app:finder'], []],
    [['--holder', 'finder'], [one, two, denied]],
    [['--holder', 'app:'], [second]],
    [['--provider', 'openai'], [one, two, denied]],
    [['--provider', 'open'], []],
    [['--reason', 'path_not_allowed'], [denied]],
    [['--reason', 'method_not_allowed'], []],
    [['--client', '203.0.113.5'], [one]],
    [['--client', '203.0.113.0/24'], [one, two]],
    [['--client', '203.0.113.64/26'], [two]],
    [['--client', '2001:db8:1:2::/64'], [denied]],
    [['--client', '2001:db8:1:3::/64'], []],
    [['--request', two], [two]],
    [['--request', two.replace('req_', '')], [two]],
    [['--path', '/v1/yes/'], [one, two]],
    [['--path', '/v1/yes/t'], [two]],
    [['--path', '/v1/ye'], [one, two]],
    [['--path', '/yes'], []],
    [['--type', 'request', '--env', 'ci'], [one, two, denied]],
    [['--type', 'management', '--env', 'ci'], []],
    [['--key', key.id, '--decision', 'denied'], [denied]],
    [['--conn', 'second', '--status', '401'], [wrong]],
    [['--conn', 'second', '--decision', 'allowed', '--client', '198.51.100.0/24'], [second]],
    [['--decision', 'denied', '--holder', 'app:other'], []],
  ]) assert.deepEqual(await found(...args), expected, args.join(' '));
  const issued = await list('--action', 'key.issue', '--target', key.id);
  assert.deepEqual(issued.map((e) => [e.action, e.target]), [['key.issue', key.id]]);
  assert.deepEqual(await list('--actor', 'uid:4711'), []);
  assert.ok((await list('--actor', `uid:${process.getuid()}`, '--type', 'management')).length >= 4);
});

test('questions that make no sense are refused, and nothing is printed', async () => {
  for (const [args, status] of [
    [['--client', '203.0.113.5/24'], 1], [['--client', 'nowhere'], 1], [['--request', 'req_12'], 1], [['--type', 'response'], 1],
    [['--reason', 'because'], 1], [['--order', 'random'], 2], [['--cursor', '-1'], 2],
  ]) {
    const got = await broker.cli(['audit', 'list', ...args]);
    assert.equal(got.status, status, `${args.join(' ')}: ${got.stderr}`);
    assert.equal(got.stdout, '');
  }
});

test('pages by cursor have every entry once, in both directions, while rows are added', async () => {
  const whole = await seqs('--type', 'request');
  for (const order of ['falling', 'rising']) {
    const pages = [];
    let cursor = [];
    for (;;) {
      const page = (await broker.lines(['audit', 'list', '--type', 'request', '--limit', '2', '--order', order, ...cursor])).map((e) => e.seq);
      if (page.length === 0 || (order === 'rising' && page[0] > whole.at(-1))) break;
      pages.push(...page);
      cursor = ['--cursor', page.at(-1)];
      await ask('/mock/no', key.key, '203.0.113.6');
    }
    const seen = pages.filter((seq) => seq <= whole.at(-1));
    assert.deepEqual(order === 'rising' ? seen : seen.reverse(), whole, order);
  }
  const newest = await seqs('--type', 'request');
  assert.deepEqual((await broker.lines(['audit', 'list', '--type', 'request', '--limit', '3'])).map((e) => e.seq), newest.slice(-3));
});

test('an index that is lost, foreign or damaged is made anew, and answers never depend on it', async () => {
  const index = join(broker.dir, 'search.db');
  const stranger = await Broker.start({ relays: 1 });
  const foreign = join(dir, 'foreign.db');
  const questions = [['--key', key.id], ['--decision', 'denied'], ['--client', '203.0.113.0/24'], ['--status', '200'], ['--path', '/v1/yes/']];
  const answers = () => Promise.all(questions.map((q) => seqs(...q)));
  const expected = await answers();
  assert.ok(expected.every((a) => a.length > 0));
  await until(() => existsSync(index), 'the index');
  await until(() => existsSync(join(stranger.dir, 'search.db')), 'the index of another broker');
  await stranger.stop();
  copyFileSync(join(stranger.dir, 'search.db'), foreign);
  await stranger.end();
  const without = async (change) => {
    await broker.stop();
    for (const end of ['', '-wal', '-shm']) rmSync(index + end, { force: true });
    change();
    await broker.launch();
    assert.deepEqual(await answers(), expected);
    await until(() => /search-index.*made anew/.test(broker.log), 'the new index');
    assert.deepEqual(await answers(), expected);
  };
  await without(() => {});
  await without(() => copyFileSync(foreign, index));
  await without(() => writeFileSync(index, 'x'.repeat(8192)));
  // the twin: its own is taken as it is
  await broker.stop();
  await broker.launch();
  assert.deepEqual(await answers(), expected);
  assert.doesNotMatch(broker.log, /made anew/);
});

test('after the keeper is killed the answers are the same', async () => {
  const before = await seqs('--type', 'request');
  const pid = broker.pidOf('keeper');
  process.kill(pid, 'SIGKILL');
  await until(() => broker.pidOf('keeper') && broker.pidOf('keeper') !== pid, 'another keeper');
  await broker.healthy();
  await until(async () => (await broker.cli(['audit', 'list'])).status === 0, 'the control socket');
  assert.deepEqual(await seqs('--type', 'request'), before);
  const id = await ask('/mock/yes/again', key.key, '203.0.113.5');
  await until(async () => (await list('--request', id))[0]?.status === 200, 'the new entry');
});

test('a tail that begins behind a row shows what came since, once', async () => {
  const start = await rows();
  const ids = await traffic();
  const tail = spawn(relaykey, ['--config', broker.config, 'audit', 'tail', '--json', '--type', 'request', '--cursor', String(start)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  tail.stdout.on('data', (d) => { out += d; });
  const shown = () => out.split('\n').filter(Boolean).map((l) => JSON.parse(l).request_id);
  try {
    await until(() => ids.every((id) => shown().includes(id)), 'what came before');
    const live = await ask('/mock/yes/live', key.key, '203.0.113.5');
    await until(() => shown().includes(live), 'what comes now');
    assert.deepEqual(shown().sort(), [...ids, live].sort());
  } finally {
    tail.kill('SIGTERM');
  }
});

test('an export has the filters of a list, and a spreadsheet runs nothing of it', async () => {
  await request(broker, 'GET', '/second/things', { key: other.key, headers: { 'user-agent': '=cmd|\' /C calc\'!A0' } });
  const csv = await until(async () => {
    const got = await broker.cli(['audit', 'export', '--format', 'csv', '--holder', 'app:other', '--path', '/v1/things']);
    return /calc/.test(got.stdout) && got.stdout;
  }, 'the row');
  const head = csv.split('\r\n')[0].split(',');
  assert.match(csv, /"'=cmd\|/);
  assert.ok(head.includes('user_agent'));
  const jsonl = (await broker.cli(['audit', 'export', '--holder', 'app:other'])).stdout.trimEnd().split('\n').map((l) => JSON.parse(l));
  assert.ok(jsonl.length >= 2);
  assert.ok(jsonl.filter((r) => r.type === 'request').every((r) => r.holder.name === 'other'));
});
