// A throw-away CA and a server certificate for localhost and 127.0.0.1, made with openssl(1).
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SAN = 'DNS:localhost,DNS:api.upstream.example,IP:127.0.0.1';
const extensions = (san = SAN, usage = 'serverAuth') => `[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
[server]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=${usage}
subjectAltName=${san}
[client]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth
`;

function openssl(...args) {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function makeKey(file) {
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file);
}

/**
 * A client certificate of the CA that makeCertificates(dir, ca) made: {certFile, keyFile, key}. With `through`, of a CA
 * between the two, whose certificate stands behind it in certFile.
 */
export function makeClientCertificate(dir, ca, cn, { days = 2, rsa = false, through = null } = {}) {
  const at = (file) => join(dir, `${cn}-${file}`);
  const of = (file) => join(dir, `${through ?? ca}-${file}`);
  makeCertificates(dir, ca);
  if (through) {
    writeFileSync(of('ext.cnf'), extensions());
    makeKey(of('ca.key'));
    openssl('req', '-new', '-subj', `/CN=${through} CA`, '-key', of('ca.key'), '-out', of('ca.csr'));
    openssl('x509', '-req', '-days', '2', '-in', of('ca.csr'), '-CA', join(dir, `${ca}-ca.pem`), '-CAkey', join(dir, `${ca}-ca.key`),
      '-CAcreateserial', '-extfile', of('ext.cnf'), '-extensions', 'ca', '-out', of('ca.pem'));
  }
  if (rsa) openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', at('client.key'));
  else makeKey(at('client.key'));
  openssl('req', '-new', '-subj', `/O=Test/CN=${cn}`, '-key', at('client.key'), '-out', at('client.csr'));
  openssl('x509', '-req', '-days', String(days), '-in', at('client.csr'), '-CA', of('ca.pem'), '-CAkey', of('ca.key'),
    '-CAcreateserial', '-extfile', of('ext.cnf'), '-extensions', 'client', '-out', at('client.pem'));
  if (through) appendFileSync(at('client.pem'), readFileSync(of('ca.pem')));
  return { certFile: at('client.pem'), keyFile: at('client.key'), key: readFileSync(at('client.key'), 'utf8') };
}

/** Makes (once per directory) ca.pem, server.pem and server.key; returns their paths and contents. */
export function makeCertificates(dir, name = 'mock') {
  const at = (file) => join(dir, `${name}-${file}`);
  if (!existsSync(at('server.pem'))) {
    writeFileSync(at('ext.cnf'), extensions());
    makeKey(at('ca.key'));
    openssl('req', '-new', '-subj', `/CN=${name} test CA`, '-key', at('ca.key'), '-out', at('ca.csr'));
    openssl('x509', '-req', '-days', '2', '-in', at('ca.csr'), '-signkey', at('ca.key'),
      '-extfile', at('ext.cnf'), '-extensions', 'ca', '-out', at('ca.pem'));
    makeKey(at('server.key'));
    openssl('req', '-new', '-subj', '/CN=localhost', '-key', at('server.key'), '-out', at('server.csr'));
    openssl('x509', '-req', '-days', '2', '-in', at('server.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'),
      '-CAcreateserial', '-extfile', at('ext.cnf'), '-extensions', 'server', '-out', at('server.pem'));
  }
  return {
    caFile: at('ca.pem'),
    certFile: at('server.pem'),
    keyFile: at('server.key'),
    ca: readFileSync(at('ca.pem')),
    cert: readFileSync(at('server.pem')),
    key: readFileSync(at('server.key')),
  };
}

/**
 * A certificate for the server's key that is not what makeCertificates(dir, name) gave: for another `san`, of another
 * `usage`, with `days` < 0 (expired), or `selfSigned` instead of by that CA. Returns {cert, key}.
 */
export function misissue(dir, name, { san, usage, days = 2, selfSigned = false }) {
  const at = (file) => join(dir, `${name}-${file}`);
  const { key } = makeCertificates(dir, name);
  const signer = selfSigned ? ['-signkey', at('server.key')] : ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'];
  writeFileSync(at('other.cnf'), extensions(san, usage));
  openssl('x509', '-req', '-days', String(days), '-in', at('server.csr'), ...signer,
    '-extfile', at('other.cnf'), '-extensions', 'server', '-out', at('other.pem'));
  return { cert: readFileSync(at('other.pem')), key };
}
