"""The page of the ``serve`` command: one HTML document without outside parts, made for one server."""

from __future__ import annotations

import json

__all__ = ["render_page"]

_PLACEHOLDER = "/*SETTINGS*/null"
"""What `render_page` replaces; as it stands it is valid JavaScript, so that editors and linters can read the page."""


def render_page(*, url: str, certificate_hash: bytes) -> bytes:
    """Return the page as UTF-8.

    Args:
        url: the WebTransport server without a path, e.g. ``https://127.0.0.1:4433``.
        certificate_hash: SHA-256 of its certificate in DER form.
    """
    settings = json.dumps({"url": url, "hash": list(certificate_hash)})
    # "</script>" inside a string would end the script for the HTML parser.
    return _PAGE.replace(_PLACEHOLDER, settings.replace("<", "\\u003c")).encode()


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wtransport echo server</title>
<link rel="icon" href="data:,">
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.4rem; }
  table { border-collapse: collapse; width: 100%; }
  td, th { border-bottom: 1px solid #8884; padding: .35rem .5rem; text-align: left; vertical-align: top; }
  td:last-child { font-variant-numeric: tabular-nums; }
  .ok { color: #14803c; } .failed { color: #c01c28; } .running { color: #777; }
  form { margin-top: 1.5rem; display: flex; gap: .5rem; }
  input { flex: 1; font: inherit; } button { font: inherit; }
  pre { background: #8881; padding: .5rem; min-height: 3rem; white-space: pre-wrap; }
  @media (prefers-color-scheme: dark) { body { background: #1c1c1c; color: #eee; } .ok { color: #57d08a; } }
</style>
</head>
<body>
<h1>WebTransport echo</h1>
<p>Server <code id="url"></code>, connected to by the hash of its certificate.</p>
<table><thead><tr><th>check</th><th>result</th><th>detail</th></tr></thead><tbody id="rows"></tbody></table>
<p id="summary" class="running">running</p>
<form id="form">
  <input id="text" value="hello" aria-label="text to send">
  <button name="way" value="stream">send on a stream</button>
  <button name="way" value="datagram">send as a datagram</button>
</form>
<pre id="log"></pre>
<script type="module">
const settings = /*SETTINGS*/null;
const options = {
  serverCertificateHashes: [{algorithm: "sha-256", value: new Uint8Array(settings.hash).buffer}],
};
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const element = (id) => document.getElementById(id);
element("url").textContent = settings.url;

async function connect(path) {
  const transport = new WebTransport(settings.url + path, options);
  transport.closed.catch(() => {});
  await transport.ready;
  return transport;
}

async function write(writable, data) {
  const writer = writable.getWriter();
  await writer.write(data);
  await writer.close();
}

async function readAll(readable) {
  const reader = readable.getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const {value, done} = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
}

async function next(readable) {
  const reader = readable.getReader();
  const {value} = await reader.read();
  reader.releaseLock();
  return value;
}

function pattern(size) {
  const data = new Uint8Array(size);
  for (let i = 0; i < size; i++) data[i] = (i * 31 + (i >> 8)) & 255;
  return data;
}

function same(a, b) {
  if (a.length !== b.length) throw new Error(`${b.length} bytes came back of ${a.length}`);
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) throw new Error(`byte ${i} differs`);
}

function within(promise, seconds) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing happened in ${seconds} s`)), seconds * 1000);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

let echo;
const checks = {
  "session": async () => { echo = await connect("/echo"); return "ready"; },
  "bidirectional stream": async () => {
    const data = pattern(1 << 20);
    const stream = await echo.createBidirectionalStream();
    const began = performance.now();
    const [back] = await Promise.all([readAll(stream.readable), write(stream.writable, data)]);
    const seconds = (performance.now() - began) / 1000;
    same(data, back);
    return `1 MiB there and back, ${(1 / seconds).toFixed(1)} MiB/s`;
  },
  "20 streams at once": async () => {
    await Promise.all(Array.from({length: 20}, async (_, i) => {
      const data = pattern(1000 + i);
      const stream = await echo.createBidirectionalStream();
      const [back] = await Promise.all([readAll(stream.readable), write(stream.writable, data)]);
      same(data, back);
    }));
    return "all content came back";
  },
  "unidirectional streams": async () => {
    const data = pattern(100000);
    await write(await echo.createUnidirectionalStream(), data);
    same(data, await readAll(await next(echo.incomingUnidirectionalStreams)));
    return "answered on a stream of the server's";
  },
  "datagrams": async () => {
    const datagrams = echo.datagrams;
    const writable = datagrams.writable ?? datagrams.createWritable();
    const writer = writable.getWriter();
    const reader = datagrams.readable.getReader();
    const times = [];
    let lost = 0;
    for (let i = 0; i < 20; i++) {
      const began = performance.now();
      await writer.write(encoder.encode(`datagram ${i}`));
      try {
        const {value} = await within(reader.read(), 1);
        if (decoder.decode(value).startsWith("datagram ")) times.push(performance.now() - began);
      } catch { lost++; }
    }
    writer.releaseLock();
    reader.releaseLock();
    if (!times.length) throw new Error("none came back");
    times.sort((a, b) => a - b);
    return `${times.length} of 20 came back, median ${times[times.length >> 1].toFixed(2)} ms`;
  },
  "streams opened by the server": async () => {
    const transport = await connect("/greet");
    const stream = await next(transport.incomingBidirectionalStreams);
    const oneWay = decoder.decode(await readAll(await next(transport.incomingUnidirectionalStreams)));
    await write(stream.writable, encoder.encode(", and from the browser"));
    const text = decoder.decode(await readAll(stream.readable));
    transport.close();
    if (oneWay !== "hello from the server") throw new Error(`unidirectional: ${oneWay}`);
    return text;
  },
  "close code and reason": async () => {
    const transport = await connect("/close?code=4242&reason=asked+for");
    const {closeCode, reason} = await transport.closed;
    if (closeCode !== 4242 || reason !== "asked for") throw new Error(`${closeCode} ${reason}`);
    return `${closeCode}, "${reason}"`;
  },
  "unknown path": async () => {
    try { await connect("/nowhere"); } catch { return "refused, as it should be"; }
    throw new Error("was accepted");
  },
};

let failures = 0;
for (const [name, check] of Object.entries(checks)) {
  const row = element("rows").insertRow();
  row.insertCell().textContent = name;
  const result = row.insertCell();
  const detail = row.insertCell();
  result.className = "running";
  result.textContent = "running";
  try {
    detail.textContent = await within(check(), 20);
    result.className = result.textContent = "ok";
  } catch (error) {
    failures++;
    detail.textContent = String(error);
    result.className = result.textContent = "failed";
  }
}
const summary = element("summary");
summary.className = failures ? "failed" : "ok";
summary.textContent = failures ? `${failures} failed` : "everything works";

const log = (text) => { element("log").textContent += text + "\\n"; };
element("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = encoder.encode(element("text").value);
  const began = performance.now();
  const took = () => `${(performance.now() - began).toFixed(2)} ms`;
  try {
    if (event.submitter?.value === "datagram") {
      const writer = (echo.datagrams.writable ?? echo.datagrams.createWritable()).getWriter();
      await writer.write(data);
      writer.releaseLock();
      log(`datagram: ${decoder.decode(await within(next(echo.datagrams.readable), 2))} (${took()})`);
    } else {
      const stream = await echo.createBidirectionalStream();
      const [back] = await Promise.all([readAll(stream.readable), write(stream.writable, data)]);
      log(`stream: ${decoder.decode(back)} (${took()})`);
    }
  } catch (error) {
    log(`failed: ${error}`);
  }
});
</script>
</body>
</html>
"""
