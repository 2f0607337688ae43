import { certificateHash } from "./certificate_hash.js";

const log = (text) => { document.getElementById("log").textContent += text + "\n"; };

const transport = new WebTransport("https://127.0.0.1:4433/echo", {
  serverCertificateHashes: [{ algorithm: "sha-256", value: certificateHash }],
});
transport.closed.then(
  ({ closeCode, reason }) => log(`closed: ${closeCode} ${reason}`),
  (error) => log(`lost: ${error}`),
);

await transport.ready;
log("connected");

async function overStream(text) {
  const stream = await transport.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close(); // the end of the stream, which the server waits for
  return await new Response(stream.readable).text();
}

const datagrams = transport.datagrams;
const datagramWriter = (datagrams.writable ?? datagrams.createWritable()).getWriter();
const datagramReader = datagrams.readable.getReader();

async function inDatagram(text) {
  await datagramWriter.write(new TextEncoder().encode(text));
  const { value } = await datagramReader.read();
  return new TextDecoder().decode(value);
}

async function send(way, text) {
  log(`${way}: ${await (way === "datagram" ? inDatagram(text) : overStream(text))}`);
}

document.getElementById("form").addEventListener("submit", (event) => {
  event.preventDefault();
  send(event.submitter.value, document.getElementById("text").value).catch((error) => log(`failed: ${error}`));
});

await send("stream", "hello from the page");
await send("datagram", "hello from the page");
