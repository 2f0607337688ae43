// What the Python side calls: one scenario by name, JSON in, JSON out, never longer than its time-out.
import * as scenarios from "./scenarios.js";

const describe = (error) => ({
  name: error?.name ?? typeof error,
  message: String(error?.message ?? error),
  source: error?.source ?? null,
  streamErrorCode: error?.streamErrorCode ?? null,
  stack: String(error?.stack ?? ""),
});

export async function run(name, argumentsJson) {
  const { timeout_ms: limit, ...options } = JSON.parse(argumentsJson);
  let timer;
  const expired = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`scenario ${name} not over after ${limit} ms`)), limit);
  });
  try {
    return JSON.stringify({ result: (await Promise.race([scenarios[name](options), expired])) ?? null });
  } catch (error) {
    return JSON.stringify({ error: describe(error) });
  } finally {
    clearTimeout(timer);
  }
}
