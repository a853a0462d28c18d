// An upstream below HTTP: a TCP listener whose connections a test handles by hand, with TLS or without.
import net from 'node:net';
import tls from 'node:tls';

/**
 * Starts it; `serve(socket)` gets each connection and may be changed while it runs. `dialled` counts them, `open` holds
 * those that are not closed yet.
 */
export async function startTcp(serve, { caFile, key } = {}) {
  const state = { serve, dialled: 0, open: new Set(), caFile, key };
  const server = net.createServer({ noDelay: true }, (socket) => {
    state.dialled++;
    state.open.add(socket);
    socket.on('close', () => state.open.delete(socket));
    socket.on('error', () => {});
    state.serve(socket);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return Object.assign(state, {
    port: server.address().port,
    baseUrl: `https://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((done) => { server.close(done); state.open.forEach((s) => s.destroy()); }),
  });
}

/** TLS as a server on a TCP connection; calls `ready(over)` after the handshake. */
export function secure(socket, { cert, key, ...more }, ready) {
  const over = new tls.TLSSocket(socket, { isServer: true, secureContext: tls.createSecureContext({ cert, key, ...more }) });
  over.on('error', () => {});
  over.once('secure', () => ready(over));
  return over;
}

/** Calls `answer(secure, text)` for each request head that comes (bodies are not told apart). */
export function eachRequest(over, answer) {
  let text = '';
  over.on('data', (d) => {
    text += d.toString('latin1');
    for (let at = text.indexOf('\r\n\r\n'); at >= 0; at = text.indexOf('\r\n\r\n')) {
      const one = text.slice(0, at + 4);
      text = text.slice(at + 4);
      answer(over, one);
    }
  });
}
