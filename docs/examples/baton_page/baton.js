// The client's end of a game of Devious Baton, by the same rules as devious_baton_player.py.

const WHATEVER = 2; // why a stream is abandoned
const BRUH = 2, SUS = 3; // why a game is broken off

class Malformed extends Error {}

const next = (baton) => (baton + 1) % 256;

// A message: the length of the padding as a variable-length integer of QUIC, the padding, one byte.
export function encode(baton, padding = 0) {
  const head = padding < 64 ? [padding] : [0x40 | (padding >> 8), padding & 0xff];
  return new Uint8Array([...head, ...new Array(padding).fill(0), baton]);
}

export function decode(bytes) {
  const size = bytes.length ? 1 << (bytes[0] >> 6) : 1;
  let padding = (bytes[0] ?? 0) & 0x3f;
  for (const octet of bytes.subarray(1, size)) padding = padding * 256 + octet;
  if (bytes.length !== size + padding + 1) throw new Malformed(`${bytes.length} bytes are no message`);
  return bytes[bytes.length - 1];
}

async function readMessage(readable) {
  const chunks = [];
  const reader = readable.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    chunks.push(...value);
  }
  return decode(Uint8Array.from(chunks));
}

async function writeMessage(writable, baton) {
  const writer = writable.getWriter();
  writer.write(encode(baton, Math.floor(Math.random() * 100))).catch(() => {}); // close() says what went wrong
  await writer.close();
}

// Chromium still has the older constructor, with the message among the options.
function streamError(code) {
  try {
    return new WebTransportError("given up", { source: "stream", streamErrorCode: code });
  } catch {
    return new WebTransportError({ message: "given up", streamErrorCode: code });
  }
}

// Plays until the session is over; gives the batons that came, how many were lost, and the code of the end.
export async function play(url, { hash, baton: firstBaton, count = 1, log = () => {} }) {
  const certificate = Uint8Array.from(hash.match(/../g), (octet) => parseInt(octet, 16));
  const transport = new WebTransport(url, { serverCertificateHashes: [{ algorithm: "sha-256", value: certificate }] });
  const closed = transport.closed.then(({ closeCode }) => closeCode, (error) => `${error}`);
  await transport.ready;

  const received = [];
  const datagrams = [];
  let [active, lost, first] = [count, 0, count];
  const expected = []; // what may come on streams of the server
  const datagramWriter = (transport.datagrams.writable ?? transport.datagrams.createWritable()).getWriter();

  const breakOff = (closeCode, reason) => transport.close({ closeCode, reason });
  const countDown = () => { if (--active === 0) transport.close(); };

  function isExpected(baton) {
    const at = expected.indexOf(baton);
    if (at >= 0) expected.splice(at, 1);
    else if (first && baton && (firstBaton === undefined || firstBaton === baton)) first--;
    else return false;
    return true;
  }

  async function receive(readable, isRight, passOn, abandon = () => {}) {
    let baton;
    try {
      baton = await readMessage(readable);
    } catch (error) {
      if (error instanceof Malformed) {
        breakOff(BRUH, error.message);
      } else if (error?.source !== "session") {
        abandon();
        lost++;
        countDown();
      }
      return;
    }
    if (!isRight(baton)) {
      breakOff(SUS, `nobody can be passing on ${baton}`);
      return;
    }
    received.push(baton);
    log(`got ${baton}`);
    if (baton % 7 === 1) datagramWriter.write(encode(baton)).catch(() => {});
    if (baton) await passOn(next(baton));
    else countDown();
  }

  async function sendOnUni(baton) {
    if (baton) expected.push(next(baton));
    await writeMessage(await transport.createUnidirectionalStream(), baton);
  }

  async function sendOnBidi(baton) {
    const stream = await transport.createBidirectionalStream();
    await writeMessage(stream.writable, baton);
    if (baton) await receive(stream.readable, (answer) => answer === next(baton), sendOnUni);
  }

  async function answerOn(writable, baton) {
    if (baton) expected.push(next(baton));
    await writeMessage(writable, baton);
  }

  async function each(streams, take) {
    const reader = streams.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      take(value).catch(() => {}); // a stream that ends with the session
    }
  }

  const abandoned = (stream) => () => stream.writable.abort(streamError(WHATEVER)).catch(() => {});
  each(transport.incomingUnidirectionalStreams, (stream) => receive(stream, isExpected, sendOnBidi)).catch(() => {});
  each(transport.incomingBidirectionalStreams, (stream) =>
    receive(stream.readable, isExpected, (baton) => answerOn(stream.writable, baton), abandoned(stream))).catch(() => {});
  each(transport.datagrams.readable, async (bytes) => datagrams.push(decode(bytes))).catch(() => {});

  const code = await closed;
  return { received, datagrams, lost, code };
}
