// Does somebody listen there, and does it answer a request as it should?
import { readFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';

export function probe(port) {
  return new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); done(true); });
    socket.once('error', () => done(false));
  });
}

/** One verified request to a peer for the upstream's `path`; fails unless it is answered with 200. */
export function ask(peer, path) {
  return new Promise((resolve, reject) => {
    https.get({
      host: '127.0.0.1', servername: 'localhost', port: peer.port, path: `${peer.prefix}${path}`, agent: false,
      ca: readFileSync(peer.caFile), headers: { authorization: `Bearer ${peer.key}` },
    }, (res) => {
      res.resume();
      if (res.statusCode === 200) resolve();
      else reject(new Error(`${peer.name} answers ${res.statusCode}`));
    }).on('error', (err) => reject(new Error(`${peer.name}: ${err.message}`)));
  });
}
