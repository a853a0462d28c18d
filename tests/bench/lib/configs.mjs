// Configurations of the peers: two workers each, upstream connections kept, the upstream's certificate verified.

const WORKERS = 2;

function nginxHead(workers, dir, name) {
  return `daemon off;
worker_processes ${workers};
pid "${dir}/${name}.pid";
error_log stderr warn;
events { worker_connections 16384; multi_accept on; }
`;
}

function nginxHttp(dir, name) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `  access_log off;
${temporary.map((kind) => `  ${kind}_temp_path "${dir}/${name}-${kind}";`).join('\n')}
  client_max_body_size 0;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
`;
}

function nginxServer(port, certs) {
  return `    listen 127.0.0.1:${port} ssl reuseport backlog=8192;
    ssl_certificate ${certs.certFile};
    ssl_certificate_key ${certs.keyFile};
    ssl_protocols TLSv1.2 TLSv1.3;
`;
}

export const SMALL_JSON = '{"id":"resp_1","object":"response","status":"completed","output":"Hello from the other side."}';

export function nginxUpstreamConfig(dir, port, certs) {
  return `${nginxHead(1, dir, 'upstream')}http {
${nginxHttp(dir, 'upstream')}  server {
${nginxServer(port, certs)}    location / { default_type application/json; return 200 '${SMALL_JSON}'; }
  }
}
`;
}

/** `buffering` off: whatever arrives is passed on at once, in both directions. */
export function nginxProxyConfig(dir, port, upstream, { buffering, name, secret }) {
  return `${nginxHead(WORKERS, dir, name)}http {
${nginxHttp(dir, name)}  upstream real {
    server 127.0.0.1:${upstream.port};
    keepalive 1024; keepalive_requests 100000000; keepalive_timeout 600s;
  }
  server {
${nginxServer(port, upstream.certs)}    location /bench/ {
      proxy_pass https://real/;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host localhost;
      proxy_set_header Authorization "Bearer ${secret}";
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${upstream.certs.caFile};
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
      proxy_ssl_session_reuse on;
      proxy_read_timeout 600s;
      proxy_buffering ${buffering ? 'on' : 'off'};
      proxy_request_buffering off;
    }
  }
}
`;
}

export function haproxyConfig(port, upstream, { both, secret }) {
  return `global
  nbthread ${WORKERS}
defaults
  mode http
  timeout client 600s
  timeout server 600s
  timeout connect 5s
  http-reuse always
frontend in
  bind 127.0.0.1:${port} ssl crt ${both} alpn http/1.1
  default_backend real
backend real
  http-request set-header Authorization "Bearer ${secret}"
  http-request replace-path /bench/(.*) /\\1
  server s1 127.0.0.1:${upstream.port} ssl verify required ca-file ${upstream.certs.caFile} sni str(localhost) verifyhost localhost pool-max-conn 1024
`;
}
