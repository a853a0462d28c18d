// A throw-away CA and a server certificate for localhost and 127.0.0.1, made with openssl(1).
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const EXTENSIONS = `[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
[server]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=DNS:localhost,IP:127.0.0.1
`;

function openssl(...args) {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function makeKey(file) {
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file);
}

/** Makes (once per directory) ca.pem, server.pem and server.key; returns their paths and contents. */
export function makeCertificates(dir, name = 'mock') {
  const at = (file) => join(dir, `${name}-${file}`);
  if (!existsSync(at('server.pem'))) {
    writeFileSync(at('ext.cnf'), EXTENSIONS);
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
