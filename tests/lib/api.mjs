// A client of the management interface that holds every answer against the document that the broker serves, and notes
// which status of which operation it has seen.
import assert from 'node:assert/strict';
import https from 'node:https';
import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

// a client has a limited number of connections, and other tests need some too
// (and is gone before the server ends a connection that is idle)
const POOL = new https.Agent({ keepAlive: true, maxSockets: 16, timeout: 10000 });
const MEDIA = /^[^;]*/;

/** One request; never throws for a status. {status, headers, text, json} */
export function ask(broker, method, path, { token, body, headers = {}, raw, agent = POOL, stream } = {}) {
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const all = { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers };
  if (payload !== undefined && !('transfer-encoding' in all)) all['content-length'] ??= Buffer.byteLength(payload);
  return new Promise((resolve, reject) => {
    const req = https.request({ host: '127.0.0.1', port: broker.ports.console, ca: broker.ca, method, path, headers: all, agent }, (res) => {
      if (stream) return resolve({ status: res.statusCode, headers: res.headers, res, req });
      const parts = [];
      res.on('data', (d) => parts.push(d));
      res.on('error', reject);
      res.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const json = /json/.test(res.headers['content-type'] ?? '') && text && !/ndjson/.test(res.headers['content-type']) ? JSON.parse(text) : undefined;
        resolve({ status: res.statusCode, headers: res.headers, text, json });
      });
      return undefined;
    });
    req.on('error', reject);
    req.setTimeout(60000, () => req.destroy(new Error('no answer in 60 s')));
    if (payload !== undefined) req.write(payload);
    req.end();
  });
}

/** Operations that have a file of tests of their own, by operationId or tag; the others are api.test.mjs's. */
const SHARES = {
  access: ['Management keys', 'Users', 'createDelegatedCredential', 'updateRelayKey', 'updateConnection', 'listCredentials',
    'rollbackConnection', 'deleteCredential', 'testConnection'],
  outward: ['Settings', 'Webhooks', 'Deliveries', 'Containment'],
  leaks: ['Leaked keys'],
};
const ownerOf = (op) => Object.keys(SHARES).find((file) => SHARES[file].includes(op.operationId) || SHARES[file].includes(op.tags[0])) ?? 'main';

export class Api {
  constructor(broker, token, share = 'main') {
    this.broker = broker;
    this.token = token;
    this.share = share;
    this.seen = new Set();
  }

  /** Fetches the document and compiles its schemas. */
  async open() {
    const got = await ask(this.broker, 'GET', '/openapi.json');
    assert.equal(got.status, 200);
    this.document = got.json;
    this.ajv = new Ajv({ strict: false, allErrors: true });
    formats(this.ajv);
    this.ajv.addSchema(this.document, 'api');
    this.operations = Object.entries(this.document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, op]) => ({
      ...op, path, method: method.toUpperCase(), form: new RegExp(`^${path.replace(/\{[^}]+\}/g, '[^/]+')}$`) })));
    this.owned = this.operations.filter((op) => ownerOf(op) === this.share);
    return this;
  }

  operation(id) {
    const op = this.operations.find((o) => o.operationId === id);
    assert.ok(op, `the document has no operation ${id}`);
    return op;
  }

  /** The validator of what stands at these names in the document. */
  schemaAt(...names) {
    const pointer = names.map((n) => encodeURIComponent(String(n).replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
    return this.ajv.getSchema(`api#/${pointer}`);
  }

  /** Fails when an answer is not as the document says. */
  check(op, got) {
    const documented = op.responses[got.status];
    assert.ok(documented, `${op.operationId} answered ${got.status}, which is not documented: ${got.text}`);
    this.seen.add(`${op.operationId} ${got.status}`);
    const media = MEDIA.exec(got.headers['content-type'] ?? '')[0];
    if (!documented.content) {
      assert.equal(got.text ?? '', '', 'no body is documented');
      return;
    }
    assert.ok(documented.content[media], `${op.operationId} ${got.status}: ${media || 'no media type'} is not documented`);
    if (got.json === undefined) return;
    const validate = this.schemaAt('paths', op.path, op.method.toLowerCase(), 'responses', got.status, 'content', media, 'schema');
    assert.ok(validate(got.json), `${op.operationId} ${got.status}: ${this.ajv.errorsText(validate.errors)}: ${got.text.slice(0, 600)}`);
  }

  /** One request of an operation, with `at` for {id}, or an array for all that is open; the answer is checked. */
  async run(id, { at, query = '', token = this.token, ...options } = {}) {
    const op = this.operation(id);
    const values = [at].flat();
    const path = op.path.replace(/\{[^}]+\}/g, () => encodeURIComponent(values.length ? values.shift() : 1)) + (query && `?${query}`);
    const got = await ask(this.broker, op.method, path, { token, ...options });
    if (!options.stream && op.method !== 'HEAD') this.check(op, got);
    return got;
  }

  /** The same, which must succeed; returns the document. */
  async ok(id, options) {
    const got = await this.run(id, options);
    assert.ok(got.status < 300, `${id}: ${got.status} ${got.text}`);
    return got.json;
  }

  /** "operation status" of all of this share that is documented and was not seen. */
  unseen() {
    return this.owned.flatMap((op) => Object.keys(op.responses).map((s) => `${op.operationId} ${s}`)).filter((s) => !this.seen.has(s));
  }
}

/** A management key of that role. */
export async function managementKey(broker, role = 'admin', bounds = []) {
  return (await broker.json(['mgmt', 'issue', '--role', role, '--name', `test-${role}`, ...bounds])).key;
}
