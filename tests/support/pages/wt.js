// Small pieces the scenarios are built from.

const bytesOfHex = (hex) => Uint8Array.from(hex.match(/../g), (octet) => parseInt(octet, 16));
const hexOfBytes = (bytes) => Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join("");

export const bytesOf = (text) => new TextEncoder().encode(text);
export const textOf = (bytes) => new TextDecoder().decode(bytes);
export const sha256 = async (bytes) => hexOfBytes(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// A WebTransport whose certificate is trusted by its hash, without waiting for `ready`.
export function dial({ url, hash, protocols }) {
  const options = { serverCertificateHashes: [{ algorithm: "sha-256", value: bytesOfHex(hash) }] };
  if (protocols) options.protocols = protocols;
  const transport = new WebTransport(url, options);
  transport.closed.catch(() => {}); // looked at where it matters
  return transport;
}

export async function connect(options) {
  const transport = dial(options);
  await transport.ready;
  return transport;
}

// The session is over, however it ended: in 1 of 100 tries Chromium 156 says "Connection lost" of one that the server
// closed while much was still under way.
export const over = (transport) => transport.closed.catch(() => {});

// Run `use` with an open session and close the session afterwards.
export async function withSession(options, use) {
  const transport = await connect(options);
  try {
    return await use(transport);
  } finally {
    transport.close();
  }
}

// `size` bytes that differ along the way and by `seed`, so that a lost, doubled or swapped piece changes the hash.
export function pattern(size, seed = 1) {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let i = 0, x = (seed * 2654435761) >>> 0 || 1; i < words.length; i++) {
    x ^= x << 13; x ^= x >>> 17; x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, size);
}

export async function readAll(readable) {
  const chunks = [];
  let size = 0;
  const reader = readable.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.byteLength;
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

export async function writeAll(writable, bytes, piece = 65536) {
  const writer = writable.getWriter();
  for (let at = 0; at < bytes.byteLength; at += piece) {
    await writer.ready;
    writer.write(bytes.subarray(at, at + piece)).catch(() => {}); // close() reports the failure
  }
  await writer.close();
}

// The next stream of an `incoming...Streams`.
export async function nextStream(streams) {
  const reader = streams.getReader();
  const { value, done } = await reader.read();
  reader.releaseLock();
  if (done) throw new Error("the session ended before the stream came");
  return value;
}

// Chromium 156 still has the older constructor, with the message among the options.
export function streamError(message, streamErrorCode) {
  try {
    return new WebTransportError(message, { source: "stream", streamErrorCode });
  } catch {
    return new WebTransportError({ message, streamErrorCode });
  }
}

// The streamErrorCode a promise rejects with; null = rejected without one.
export async function rejectedCode(promise) {
  try {
    await promise;
  } catch (error) {
    return { name: error?.name ?? null, message: String(error?.message), code: error?.streamErrorCode ?? null };
  }
  throw new Error("the stream was not aborted");
}
