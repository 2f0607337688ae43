import { play } from "./baton.js";

const given = new URLSearchParams(location.search);
const log = (text) => { document.getElementById("log").textContent += text + "\n"; };
const numberIn = (id) => Number(document.getElementById(id).value);

document.getElementById("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [baton, count] = [numberIn("baton"), numberIn("count")];
  const query = `?version=0&baton=${baton}&count=${count}`;
  try {
    const { received, code } = await play(given.get("url") + query, { hash: given.get("hash"), baton, count, log });
    log(`over with ${code}, after ${received.length} batons`);
  } catch (error) {
    log(`failed: ${error}`);
  }
});
