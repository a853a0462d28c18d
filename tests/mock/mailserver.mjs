// A real SMTP server program (npm smtp-server) that keeps what it is sent, and can be told to refuse.
import { createRequire } from 'node:module';
import { makeCertificates } from './certs.mjs';

const require = createRequire(new URL('../e2e/package.json', import.meta.url));
const { SMTPServer } = require('smtp-server');
const { simpleParser } = require('mailparser');

function refusal(code, text) {
  return Object.assign(new Error(text), { responseCode: code });
}

/**
 * options: dir; tls ('starttls', 'tls' or 'none'); auth {user, pass}; certs (other ones than the CA's).
 * `received` lists {to, from, user, secure, mail (parsed), raw}. `manner` may be set to a function that is given
 * 'rcpt' or 'data' and returns a number to refuse with, or 'hang'.
 */
export async function startMailServer({ dir, name = 'mail', tls = 'starttls', auth = null, certs } = {}) {
  const own = makeCertificates(dir, name);
  const received = [];
  const sockets = new Set();
  const state = { manner: null, logins: [] };
  const judge = async (step, session) => {
    const verdict = await state.manner?.(step, session);
    if (verdict === 'hang') await new Promise(() => {});
    if (typeof verdict === 'number') throw refusal(verdict, `${step} refused by the test`);
  };
  const server = new SMTPServer({
    secure: tls === 'tls', hideSTARTTLS: tls !== 'starttls', cert: (certs ?? own).cert, key: (certs ?? own).key,
    authOptional: !auth, disabledCommands: auth ? [] : ['AUTH'], allowInsecureAuth: false, logger: false,
    onAuth({ username, password }, session, callback) {
      const good = auth && username === auth.user && password === auth.pass;
      state.logins.push({ username, good, secure: session.secure });
      callback(good ? null : refusal(535, 'wrong password'), good ? { user: username } : undefined);
    },
    onRcptTo(address, session, callback) { judge('rcpt', session).then(() => callback(), callback); },
    onData(stream, session, callback) {
      const parts = [];
      stream.on('data', (d) => parts.push(d));
      stream.on('end', () => {
        const raw = Buffer.concat(parts);
        judge('data', session).then(async () => {
          received.push({ to: session.envelope.rcptTo.map((r) => r.address), from: session.envelope.mailFrom.address,
            user: session.user ?? null, secure: session.secure, raw: raw.toString('latin1'), mail: await simpleParser(raw) });
          callback();
        }).catch(callback);
      });
    },
  });
  server.on('error', () => {});
  server.server.on('connection', (s) => { sockets.add(s); s.on('close', () => sockets.delete(s)); });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    received, state, caFile: own.caFile, port: server.server.address().port,
    set manner(f) { state.manner = f; },
    stop: () => new Promise((done) => { for (const s of sockets) s.destroy(); server.close(done); }),
  };
}
