// An HTTP proxy that knows CONNECT and nothing else, for the way from the broker to its upstreams. It looks every name up
// as 127.0.0.1 and keeps the port.
import net from 'node:net';

/**
 * Starts it. `auth` ("user:password") makes it ask for Basic. `manner(socket, head)` answers instead of the proxy where it
 * is given and returns true. `seen` lists {target, auth} of every head that came, `tunnels` the client sockets of those
 * that were opened.
 */
export async function startProxy({ auth = null, manner = null } = {}) {
  const state = { auth, manner, seen: [], tunnels: new Set() };
  const sockets = new Set();
  const keep = (socket) => {
    sockets.add(socket);
    socket.on('close', () => { sockets.delete(socket); state.tunnels.delete(socket); });
    socket.on('error', () => {});
  };

  const tunnel = (socket, target, head = 'HTTP/1.1 200 Connection established\r\n\r\n') => {
    const onward = net.connect({ host: '127.0.0.1', port: Number(target.slice(target.lastIndexOf(':') + 1)) });
    keep(onward);
    onward.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'));
    onward.on('connect', () => {
      socket.write(head);
      state.tunnels.add(socket);
      socket.pipe(onward);
      onward.pipe(socket);
      socket.on('close', () => onward.destroy());
      onward.on('close', () => socket.destroy());
    });
  };
  state.tunnel = tunnel;

  const server = net.createServer((socket) => {
    let text = '';
    keep(socket);
    const onData = (d) => {
      text += d.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      socket.off('data', onData);
      const target = /^CONNECT (\S+) HTTP\/1\.1\r\n/.exec(text)?.[1] ?? '';
      const basic = /\r\nProxy-Authorization: Basic (\S+)\r\n/.exec(text)?.[1];
      const given = basic ? Buffer.from(basic, 'base64').toString() : null;
      state.seen.push({ target, auth: given, text });
      if (state.manner?.(socket, { target, auth: given })) return;
      if (!target) socket.end('HTTP/1.1 405 Method Not Allowed\r\n\r\n');
      else if (state.auth !== null && given !== state.auth) {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="p"\r\nContent-Length: 2\r\n\r\nno');
      } else tunnel(socket, target);
    };
    socket.on('data', onData);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return Object.assign(state, {
    port: server.address().port,
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((done) => { server.close(done); sockets.forEach((s) => s.destroy()); }),
  });
}
