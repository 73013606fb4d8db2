#!/usr/bin/env node
import { parseArgs } from "node:util";
import { type ServeOptions, serveSimulatedApi } from "./serve.js";

const HELP = `Serves the simulated workflows API until it is stopped.
  --port <n>        default 28881
  --profile <name>  contract (default) or automagik-0.6
  --api-key <key>   default test-key
  --pace <ms>       milliseconds per turn, default 1000`;

function readOptions(args: string[]): ServeOptions {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: "string", default: "28881" },
      profile: { type: "string", default: "contract" },
      "api-key": { type: "string" },
      pace: { type: "string" },
    },
  });
  const { profile } = values;
  if (profile !== "contract" && profile !== "automagik-0.6") throw new Error(`Unknown profile: ${profile}`);
  const apiKey = values["api-key"];
  return {
    profile,
    describe: true,
    branches: profile === "contract",
    port: whole("--port", values.port, 65_535),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(values.pace === undefined ? {} : { paceMs: whole("--pace", values.pace, Number.MAX_SAFE_INTEGER) }),
  };
}

function whole(name: string, text: string, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= max)) throw new Error(`${name} must be a whole number from 0 to ${max}, not ${text}`);
  return value;
}

async function main(): Promise<void> {
  const served = await serveSimulatedApi(readOptions(process.argv.slice(2)));
  process.stderr.write(`Simulated workflows API at ${served.url}\n`);
  const stop = (): void => void served.close();
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${HELP}\n`);
  process.exitCode = 2;
});
