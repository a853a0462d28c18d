// The official OpenAI and Anthropic SDKs, changed in nothing but base URL and key.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker } from '../lib/broker.mjs';
import { startUpstream } from '../mock/upstream.mjs';
import { MOCK_TEXT } from '../mock/providers.mjs';

const REAL_KEY = 'sk-real-7f3d9a1c5e8b2046-upstream-only';
let dir, upstream, broker, openaiKey, anthropicKey;
let OpenAI, Anthropic;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-sdk-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  broker = await Broker.start();
  // the SDKs use fetch, which takes its trust from the process: NODE_EXTRA_CA_CERTS is read at start only
  const { setGlobalDispatcher, Agent } = await import('undici');
  setGlobalDispatcher(new Agent({ connect: { ca: broker.ca } }));
  ({ default: OpenAI } = await import('openai'));
  ({ default: Anthropic } = await import('@anthropic-ai/sdk'));
  await broker.addConnection('openai', upstream);
  await broker.addConnection('anthropic', upstream, { path: '', auth: ['header:x-api-key'] });
  openaiKey = (await broker.issueKey('openai')).key;
  anthropicKey = (await broker.issueKey('anthropic')).key;
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const openai = (key = openaiKey) => new OpenAI({ apiKey: key, baseURL: `${broker.url}/openai`, maxRetries: 0 });
const anthropic = (options = { apiKey: anthropicKey }) =>
  new Anthropic({ baseURL: `${broker.url}/anthropic`, maxRetries: 0, ...options });

test('openai: a chat completion comes back', async () => {
  const got = await openai().chat.completions.create({ model: 'gpt-test', messages: [{ role: 'user', content: 'hi' }] });
  assert.equal(got.choices[0].message.content, MOCK_TEXT);
});

test('openai: a streamed chat completion comes back piece by piece', async () => {
  const stream = await openai().chat.completions.create({
    model: 'gpt-test', stream: true, messages: [{ role: 'user', content: 'hi' }] });
  const parts = [];
  for await (const chunk of stream) parts.push(chunk.choices[0]?.delta?.content ?? '');
  assert.equal(parts.join(''), MOCK_TEXT);
  assert.ok(parts.filter(Boolean).length > 1);
});

test('openai: the responses API works, streamed and not', async () => {
  const got = await openai().responses.create({ model: 'gpt-test', input: 'hi' });
  assert.equal(got.output_text, MOCK_TEXT);
  let text = '';
  for await (const event of await openai().responses.create({ model: 'gpt-test', input: 'hi', stream: true })) {
    if (event.type === 'response.output_text.delta') text += event.delta;
  }
  assert.equal(text, MOCK_TEXT);
});

test('openai: models are listed', async () => {
  const list = await openai().models.list();
  assert.equal(list.data[0].id, 'gpt-test');
});

test('openai: a revoked key is refused as an authentication error with a stable code', async () => {
  const { id, key } = await broker.issueKey('openai');
  await broker.json(['key', 'revoke', id]);
  await assert.rejects(openai(key).models.list(), (err) => err instanceof OpenAI.AuthenticationError
    && err.status === 401 && err.code === 'invalid_api_key');
});

test('openai: a key over its rate is a rate limit error, which the SDK may try again by itself', async () => {
  const { key } = await broker.issueKey('openai', { extra: ['--method', '*', '--path', '/**', '--rate', '1/min'] });
  await openai(key).models.list();
  const before = upstream.count;
  await assert.rejects(openai(key).models.list(), (err) => err instanceof OpenAI.RateLimitError && err.status === 429
    && err.code === 'rate_limited' && Number(err.headers.get('retry-after')) > 0 && err.headers.get('x-should-retry') === null);
  assert.equal(upstream.count, before);
});

test('openai: too many requests at once are a rate limit error until one ends, and a retry then passes', async () => {
  const { key } = await broker.issueKey('openai', { extra: ['--method', '*', '--path', '/**', '--concurrent', '1'] });
  const controller = new AbortController();
  const stream = await fetch(`${broker.url}/openai/sse?n=100&ms=50`, { headers: { authorization: `Bearer ${key}` }, signal: controller.signal });
  const reader = stream.body.getReader();
  await reader.read();
  await assert.rejects(openai(key).models.list(), (err) => err instanceof OpenAI.RateLimitError && err.code === 'concurrency_limited');
  const retried = new OpenAI({ apiKey: key, baseURL: `${broker.url}/openai`, maxRetries: 3 }).models.list();
  controller.abort();
  assert.equal((await retried).data[0].id, 'gpt-test');
});

test('openai: a path outside the grant is a permission error before the upstream is reached', async () => {
  const { key } = await broker.issueKey('openai', { extra: ['--method', 'GET', '--path', '/v1/files/*'] });
  const before = upstream.count;
  await assert.rejects(openai(key).models.list(), (err) => err instanceof OpenAI.PermissionDeniedError && err.status === 403);
  assert.equal(upstream.count, before);
  assert.equal((await openai(key).files.retrieve('file-1')).id, 'file-1');
});

test('anthropic: a message comes back, with the key as x-api-key and as bearer token', async () => {
  const ask = { model: 'claude-test', max_tokens: 16, messages: [{ role: 'user', content: 'hi' }] };
  for (const options of [{ apiKey: anthropicKey }, { apiKey: null, authToken: anthropicKey }]) {
    const got = await anthropic(options).messages.create(ask);
    assert.equal(got.content[0].text, MOCK_TEXT);
  }
});

test('anthropic: a streamed message comes back piece by piece', async () => {
  const stream = anthropic().messages.stream({ model: 'claude-test', max_tokens: 16, messages: [{ role: 'user', content: 'hi' }] });
  let pieces = 0;
  stream.on('text', () => { pieces++; });
  const final = await stream.finalMessage();
  assert.equal(final.content[0].text, MOCK_TEXT);
  assert.ok(pieces > 1);
});

test('anthropic: an unknown key is an authentication error', async () => {
  await assert.rejects(anthropic({ apiKey: 'rk_app_notarealkey' }).models.list(), (err) => err instanceof Anthropic.AuthenticationError);
});

test('nothing but the real key ever reached the upstream', () => {
  assert.deepEqual(upstream.complaints, []);
  assert.ok(upstream.seen.length > 8);
  assert.ok(upstream.seen.every((r) => r.authorized));
});
