// The browser's part of each test in tests/e2e: a function of JSON options that returns JSON.
import {
  bytesOf, connect, dial, nextStream, over, pattern, pause, readAll, rejectedCode, sha256, streamError, textOf, withSession, writeAll,
} from "./wt.js";

const echoOnce = async (transport, bytes) => {
  const stream = await transport.createBidirectionalStream();
  const [received] = await Promise.all([readAll(stream.readable), writeAll(stream.writable, bytes)]);
  return received;
};

export const echoBidi = (options) => withSession(options, async (transport) => {
  const bytes = pattern(options.size);
  const received = await echoOnce(transport, bytes);
  return { size: received.byteLength, sent: await sha256(bytes), received: await sha256(received) };
});

// `count` streams open at the same time, each with content of its own.
export const echoMany = (options) => withSession(options, async (transport) => {
  const one = async (seed) => {
    const bytes = pattern(options.size, seed);
    return (await sha256(bytes)) === (await sha256(await echoOnce(transport, bytes)));
  };
  const same = await Promise.all(Array.from({ length: options.count }, (_, i) => one(i + 1)));
  return { matching: same.filter(Boolean).length };
});

// Unidirectional streams out; the server sends each one's content back on a stream it opens.
export const echoUni = (options) => withSession(options, async (transport) => {
  const wanted = new Set();
  const sending = Array.from({ length: options.count }, async (_, i) => {
    const bytes = pattern(options.size, i + 1);
    wanted.add(await sha256(bytes));
    await writeAll(await transport.createUnidirectionalStream(), bytes);
  });
  const receiving = Array.from({ length: options.count }, async () => {
    return sha256(await readAll(await nextStreamInTurn(transport)));
  });
  await Promise.all(sending);
  const received = await Promise.all(receiving);
  return { matching: received.filter((hash) => wanted.delete(hash)).length };
});

// nextStream holds the lock while it waits, so waiters queue.
let turn = Promise.resolve();
function nextStreamInTurn(transport) {
  turn = turn.then(() => nextStream(transport.incomingUnidirectionalStreams));
  return turn;
}

// The server opens `count` bidirectional streams and expects to read back what it wrote, upper-cased.
export const answerServerBidi = (options) => withSession(options, async (transport) => {
  const reader = transport.incomingBidirectionalStreams.getReader();
  const answers = [];
  for (let i = 0; i < options.count; i++) {
    const { value: stream } = await reader.read();
    const text = textOf(await readAll(stream.readable));
    // The server leaves as soon as it has read the last answer, which may be before we hear that it is sent.
    writeAll(stream.writable, bytesOf(text.toUpperCase())).catch(() => {});
    answers.push(text);
  }
  await over(transport);
  return { answers };
});

const datagramWriter = ({ datagrams }) =>
  (datagrams.createWritable ? datagrams.createWritable() : datagrams.writable).getWriter();

// One datagram of every size (0 = the browser's maximum), each sent again until its receipt, "SIZE HASH", comes back.
export const sendDatagrams = (options) => withSession(options, async (transport) => {
  const max = transport.datagrams.maxDatagramSize;
  const writer = datagramWriter(transport);
  const reader = transport.datagrams.readable.getReader();
  const delivered = [];
  for (const wanted of options.sizes) {
    const bytes = pattern(wanted || max, wanted + 1);
    const receipt = `${bytes.byteLength} ${await sha256(bytes)}`;
    const again = setInterval(() => writer.write(bytes), 500);
    writer.write(bytes);
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("no more datagrams");
      if (textOf(value) === receipt) break;
    }
    clearInterval(again);
    delivered.push(bytes.byteLength);
  }
  return { max, delivered };
});

// Answers each datagram of the server with "SIZE HASH" until the server ends the session.
export async function receiveDatagrams(options) {
  const transport = await connect(options);
  const writer = datagramWriter(transport);
  const reader = transport.datagrams.readable.getReader();
  const answer = async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      writer.write(bytesOf(`${value.byteLength} ${await sha256(value)}`));
    }
  };
  answer().catch(() => {}); // Firefox never ends the last read
  await over(transport);
}

export async function closeByBrowser(options) {
  const transport = await connect(options);
  transport.close({ closeCode: options.code, reason: options.reason });
  const { closeCode, reason } = await transport.closed;
  return { code: closeCode, reason };
}

export async function closeByServer(options) {
  const transport = await connect(options);
  const { closeCode, reason } = await transport.closed;
  return { code: closeCode, reason };
}

// Opens one stream and sits still for a while, then sends datagrams until the session is over; tells how it ended, and
// how soon after that.
export async function lostByServer(options) {
  const transport = await connect(options);
  await writeAll(await transport.createUnidirectionalStream(), bytesOf("hello"));
  let how = null;
  transport.closed.then(() => { how = "closed"; }, () => { how = "lost"; });
  await pause(options.still_ms);
  if (how !== null) {
    return { how: `${how} too early`, seconds: 0 };
  }
  const writer = datagramWriter(transport);
  const began = performance.now();
  while (how === null) {
    writer.write(new Uint8Array(10)).catch(() => {});
    await pause(50);
  }
  return { how, seconds: (performance.now() - began) / 1000 };
}

// A stream whose first write is through, told to the server on a unidirectional stream: an abort that meets a write
// under way fails that write, and Chromium may show it without its code.
async function quietStream(transport) {
  const { readable, writable } = await transport.createBidirectionalStream();
  const writer = writable.getWriter();
  await writer.write(bytesOf("hello"));
  await writeAll(await transport.createUnidirectionalStream(), bytesOf("now"));
  return { readable, writer };
}

// The server resets its side with `code`, or asks us to stop: what the script gets to see of it.
export const resetByServer = (options) => withSession(options, async (transport) => {
  const { readable } = await quietStream(transport);
  return rejectedCode(readAll(readable));
});

export const stoppedByServer = (options) => withSession(options, async (transport) => {
  const { writer } = await quietStream(transport);
  return rejectedCode(writer.closed);
});

// We reset, or ask the server to stop, with `code`; the server's test looks at what arrived, then closes the session.
export async function resetByBrowser(options) {
  const transport = await connect(options);
  const stream = await transport.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  await writer.write(bytesOf("hello"));
  await stream.readable.getReader().read(); // the server has the stream
  await writer.abort(streamError("reset by the test", options.code));
  await over(transport);
}

export async function stopByBrowser(options) {
  const transport = await connect(options);
  const stream = await transport.createBidirectionalStream();
  await stream.writable.getWriter().write(bytesOf("hello"));
  const reader = stream.readable.getReader();
  await reader.read();
  await reader.cancel(streamError("stopped by the test", options.code));
  await Promise.race([over(transport), pause(options.patience_ms)]);
  transport.close();
}

// How the attempt fails: {opened: true} when it does not.
export async function refused(options) {
  const transport = dial(options);
  try {
    await transport.ready;
  } catch (error) {
    return { opened: false, name: error.name };
  }
  transport.close();
  return { opened: true };
}

// The protocol in force, {supported: false} where the browser knows none.
export async function protocol(options) {
  if (!("protocol" in WebTransport.prototype)) return { supported: false };
  return withSession(options, async (transport) => ({ supported: true, protocol: transport.protocol }));
}
