// As much of RFC 6455 as a test needs: both ends of the handshake, frames, no extensions.
import { createHash, randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import https from 'node:https';

export const CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

/** What Sec-WebSocket-Accept has to be for a Sec-WebSocket-Key. */
export const acceptFor = (key) => createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

function frame(opcode, payload, masked) {
  const long = payload.length > 65535, medium = !long && payload.length > 125;
  const head = Buffer.alloc(2 + (long ? 8 : medium ? 2 : 0));
  head[0] = 0x80 | opcode;
  head[1] = (masked ? 0x80 : 0) | (long ? 127 : medium ? 126 : payload.length);
  if (long) head.writeBigUInt64BE(BigInt(payload.length), 2);
  else if (medium) head.writeUInt16BE(payload.length, 2);
  if (!masked) return Buffer.concat([head, payload]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, Buffer.from(payload.map((b, i) => b ^ mask[i & 3]))]);
}

/** One end. Emits 'message' (opcode, payload) for every frame, 'end' when the other side ended, 'gone' at the very end. */
export class Socket extends EventEmitter {
  constructor(socket, client, head) {
    super();
    this.socket = socket;
    this.client = client;
    this.got = Buffer.alloc(0);
    this.messages = [];
    socket.setNoDelay(true);
    socket.on('data', (d) => this.take(d));
    socket.on('end', () => this.emit('end'));
    socket.on('error', (err) => { this.error = err; });
    socket.on('close', () => { this.closed = Date.now(); this.emit('gone'); });
    if (head?.length) setImmediate(() => this.take(head));
  }

  take(data) {
    this.parts = [...(this.parts ?? []), data];
    this.size = (this.size ?? 0) + data.length;
    if (this.size < (this.need ?? 2)) return;
    let buf = Buffer.concat(this.parts);
    for (;;) {
      this.need = 2;
      if (buf.length < 2) break;
      let n = buf[1] & 127, at = 2;
      if (n === 126) at += 2;
      if (n === 127) at += 8;
      if (buf[1] & 128) at += 4;
      if (buf.length < at) { this.need = at; break; }
      if (n === 126) n = buf.readUInt16BE(2);
      if (n === 127) n = Number(buf.readBigUInt64BE(2));
      if (buf.length < at + n) { this.need = at + n; break; }
      let payload = buf.subarray(at, at + n);
      if (buf[1] & 128) {
        const mask = buf.subarray(at - 4, at);
        payload = Buffer.from(payload.map((b, i) => b ^ mask[i & 3]));
      }
      this.messages.push([buf[0] & 15, payload]);
      this.emit('message', buf[0] & 15, payload);
      buf = buf.subarray(at + n);
    }
    this.parts = [buf];
    this.size = buf.length;
  }

  send(opcode, payload = Buffer.alloc(0)) {
    return this.socket.write(frame(opcode, Buffer.from(payload), this.client));
  }
}

/** The handshake through a broker. Resolves to {ws, res} on 101, else to {status, headers, text}. */
export function open(broker, path, { key, headers = {} } = {}) {
  const nonce = randomBytes(16).toString('base64');
  return new Promise((resolve, reject) => {
    const req = https.request({
      host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path, agent: false,
      headers: {
        Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': nonce,
        ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers,
      },
    });
    req.on('upgrade', (res, socket, head) => {
      if (res.headers['sec-websocket-accept'] !== acceptFor(nonce)) reject(new Error('wrong Sec-WebSocket-Accept'));
      else resolve({ res, ws: new Socket(socket, true, head) });
    });
    req.on('response', (res) => {
      let text = '';
      res.on('data', (d) => { text += d; });
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, text }));
    });
    req.on('error', reject);
    req.end();
  });
}
