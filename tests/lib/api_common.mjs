// What every operation of the management interface has in common, as tests of those that one file of tests owns. Each
// such file says how to ask for its operations, and has the tests of all of these: together they cover the document.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import https from 'node:https';
import { sleep, until } from './broker.mjs';
import { ask } from './api.mjs';

export const ROLES = ['admin', 'operator', 'auditor', 'provisioner'];
export const UNKNOWN_KEY = 'rk_mgmt_admin_00000000000000000000000000000000000000000000zz';

/** Fails unless the answer is a problem with this status and code. */
export function problem(got, status, code) {
  assert.equal(got.status, status, got.text);
  assert.equal(got.json.status, status);
  if (code) assert.equal(got.json.code, code, got.text);
  return got.json;
}

const hasParameter = (op, name) => op.parameters.some((p) => p.name === name);

/**
 * share: what a file of tests owns, as functions because it is made before the broker is.
 *   api()         the recorder of its operations
 *   tokens        a management key of each role
 *   example(op)   a body that the schema takes and the keeper has to look at; {} for an operation without
 *   nowhere(op)   values of the path of which there is no object
 *   there()       -> (op) => values of the path of an object that there is
 *   roles         {operationId: "admin operator ..."}, written by hand
 */
export function refusals(share) {
  const { api, tokens } = share;
  const body = (op) => (op.requestBody ? { body: share.example(op) } : {});
  const managed = () => api().owned.filter((o) => !o.security);

  test('nobody without a management key does anything', async () => {
    for (const op of managed()) problem(await api().run(op.operationId, { at: 'x', ...(op.requestBody ? { body: {} } : {}), token: '' }), 401, 'unauthorized');
  });

  test('each role may do what the table and the document say, and nothing else', async () => {
    assert.deepEqual(managed().map((o) => o.operationId).filter((id) => !(id in share.roles)), [], 'operations that the table does not have');
    for (const op of managed()) {
      const may = share.roles[op.operationId].split(' ').filter(Boolean);
      assert.deepEqual(op['x-roles'].filter((r) => r !== 'nobody'), may, `${op.operationId} in the document`);
      for (const role of ROLES) {
        const got = await api().run(op.operationId, { at: share.nowhere(op), token: tokens[role], stream: /stream/.test(op.path), ...body(op) });
        got.req?.destroy();
        assert.equal(got.status === 403, !may.includes(role), `${op.operationId} as ${role}: ${got.status} ${got.text}`);
        assert.notEqual(got.status, 401);
        if (got.status === 403) api().seen.add(`${op.operationId} 403`);
      }
    }
  });

  test('every operation refuses a body that is too big, of another type, or not as its schema wants it', async () => {
    for (const op of api().owned.filter((o) => o.requestBody)) {
      const run = (options) => api().run(op.operationId, { at: 'x', ...options });
      const json = { 'content-type': 'application/json' };
      problem(await run({ raw: `{"x":"${'x'.repeat(70000)}"}`, headers: json }), 413, 'body_too_large');
      problem(await run({ raw: '{}', headers: { 'content-type': 'text/plain' } }), 415);
      problem(await run({ body: { surely_unknown: 1 } }), 422, 'invalid');
      problem(await run({ raw: '{', headers: json }), 400, 'bad_json');
    }
  });

  test('every operation refuses parameters that it does not know, or that are there twice', async () => {
    const values = { limit: '5', live: 'true', cascade: 'true', force: 'true', state: 'pending', status: '200', since: '2030-01-01', until: '2030-01-01', format: 'csv', order: 'rising', after: '1', rows: '1', ...share.values };
    for (const op of api().owned) {
      const options = { at: share.nowhere(op), ...body(op) };
      problem(await api().run(op.operationId, { ...options, query: 'nope=1' }), 400, 'bad_parameter');
      for (const p of op.parameters.filter((q) => q.in === 'query')) {
        const value = values[p.name] ?? 'x';
        problem(await api().run(op.operationId, { ...options, query: `${p.name}=${value}&${p.name}=${value}` }), 400, 'bad_parameter');
        if (p.schema.type !== 'string') problem(await api().run(op.operationId, { ...options, query: `${p.name}=%21` }), 422);
      }
    }
  });

  test('an object that there is not is 404 for every operation', async () => {
    for (const op of api().owned.filter((o) => o.path.includes('{id}'))) {
      problem(await api().run(op.operationId, { at: share.nowhere(op), ...body(op) }), 404, 'not_found');
      problem(await api().run(op.operationId, { at: '%', ...body(op) }), 404);
      problem(await api().run(op.operationId, { at: 'x'.repeat(300), ...body(op) }), 404, 'not_found');
    }
  });

  test('a change of what somebody else has changed meanwhile is refused', async () => {
    const there = await share.there();
    for (const op of api().owned.filter((o) => hasParameter(o, 'If-Match'))) {
      const run = (tag) => api().run(op.operationId, { at: there(op), ...body(op), headers: { 'if-match': tag } });
      for (const tag of ['"4711"', '"x"', '"0"']) problem(await run(tag), 412, 'stale');
      for (const tag of ['4711', 'W/"1"', '"1", "2"', '"']) problem(await run(tag), 400, 'bad_if_match');
    }
  });

  test('an idempotency key is good for one command', async () => {
    const there = await share.there();
    const used = { 'idempotency-key': `used-${Date.now()}` };
    const conn = { name: `once-${Date.now()}`, base_url: 'https://api.example.com', secret: 'sk-once' };
    const { id } = (await api().run('createConnection', { body: conn, headers: used })).json;
    for (const op of api().owned.filter((o) => hasParameter(o, 'Idempotency-Key'))) {
      problem(await api().run(op.operationId, { at: there(op), headers: used, ...body(op) }), 409, 'exists');
      problem(await api().run(op.operationId, { at: there(op), headers: { 'idempotency-key': 'x'.repeat(129) }, ...body(op) }), 400, 'bad_idempotency_key');
    }
    await api().ok('deleteConnection', { at: id });
  });
}

/** The end of a file: these stop the keeper, and make the broker doubt the test. */
export function ends(share) {
  const { api } = share;
  const body = (op) => (op.requestBody ? { body: share.example(op) } : {});

  test('while the keeper is away, every operation is 503 and the broker recovers', async () => {
    const { broker, owned } = api();
    // as many as have a connection at once: what waits for one would meet the next keeper
    for (let i = 0; i < owned.length; i += 40) {
      const agent = new https.Agent({ maxSockets: 40 });
      const keeper = broker.pidOf('keeper');
      process.kill(keeper, 'SIGSTOP');
      const waiting = Promise.all(owned.slice(i, i + 40).map((op) => api().run(op.operationId, { at: share.nowhere(op), agent, ...body(op) })));
      await sleep(500);
      process.kill(keeper, 'SIGKILL');
      for (const got of await waiting) problem(got, 503, 'keeper_unavailable');
      await until(async () => (await ask(broker, 'GET', '/healthz')).status === 200, 'a new keeper', 20000);
    }
    assert.equal((await api().run('getStatus')).status, 200);
  });

  test('who guesses management keys is turned away, and a right one is let in all the same', async () => {
    for (let i = 0; i < 12; i++) await api().run('getStatus', { token: UNKNOWN_KEY });
    for (const op of api().owned.filter((o) => !o.security)) problem(await api().run(op.operationId, { at: 'x', ...body(op), token: UNKNOWN_KEY }), 429);
    assert.equal((await api().run('getStatus')).status, 200);
  });

  test('every documented status of every operation was seen', () => {
    assert.deepEqual(api().unseen(), []);
  });
}
