import { onTestFinished } from "vitest";
import { type ServedApi, type ServeOptions, serveSimulatedApi } from "../../mocks/serve.js";
import { startHttp } from "./http.js";
import { type Frame, WITHOUT_TASKS } from "./modern-frames.js";
import { callModern } from "./modern-http.js";
import { connectModern } from "./modern-server.js";

/** A call that its client can give up, as the protocol and the transport have it. */
export interface Started {
  giveUp(): void;
  /** What came as its answer by the end of the test, if anything. */
  answer(): Frame | undefined;
}

/** One way in which a client talks to a server: a protocol and a transport. It shows no forms. */
export interface Leg {
  api: ServedApi["api"];
  start(args: object): Started;
  /** Calls the one tool, and gives the structured part of the answer. */
  call(args: object): Promise<Frame>;
}

const TOOL = "orchestrate_workflow";
const META = { "io.modelcontextprotocol/clientCapabilities": {} };
const ABOUT = { ...WITHOUT_TASKS, ...META };
const HELLO = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "test-client", version: "1.0.0" },
};

function watch(answering: Promise<Frame>): () => Frame | undefined {
  let answer: Frame | undefined;
  answering.then(
    (came) => {
      answer = came;
    },
    () => {},
  );
  return () => answer;
}

type Open = (url: string) => Promise<Omit<Leg, "api">>;

async function overStdio(url: string, era: "earlier" | "newer"): Promise<Omit<Leg, "api">> {
  const client = connectModern({ settings: { BASE_URL: url }, about: ABOUT });
  let next = 100;
  if (era === "earlier") {
    await client.send(next++, "initialize", HELLO);
    client.write({ method: "notifications/initialized" });
  }
  const send = (id: number, args: object) =>
    client.send(id, "tools/call", {
      name: TOOL,
      arguments: args,
      ...(era === "newer" ? { _meta: ABOUT } : {}),
    });
  return {
    start(args) {
      const requestId = next++;
      const answer = watch(send(requestId, args));
      return {
        answer,
        giveUp: () => client.write({ method: "notifications/cancelled", params: { requestId } }),
      };
    },
    call: async (args) => (await send(next++, args)).result.structuredContent,
  };
}

const serve = (url: string) => startHttp({ settings: { ERA: "auto", BASE_URL: url } });

export const NEWER_OVER_STDIO: Open = (url) => overStdio(url, "newer");

/** The ways, by their names. */
export const LEGS: [name: string, open: Open][] = [
  ["the earlier protocol over stdio", (url) => overStdio(url, "earlier")],
  ["protocol 2026-07-28 over stdio", NEWER_OVER_STDIO],
  [
    "the earlier protocol over HTTP",
    async (url) => {
      const { call } = await (await serve(url)).connect();
      return {
        start(args) {
          const leaving = new AbortController();
          const answer = watch(call({ ...args }, { signal: leaving.signal }));
          return { answer, giveUp: () => leaving.abort() };
        },
        call: async (args) => (await call({ ...args })).data,
      };
    },
  ],
  [
    "protocol 2026-07-28 over HTTP",
    async (url) => {
      const http = await serve(url);
      return {
        start(args) {
          const leaving = new AbortController();
          const how = { meta: META, signal: leaving.signal };
          const answer = watch(callModern(http, args, {}, how).then((sent) => sent.answer));
          return { answer, giveUp: () => leaving.abort() };
        },
        call: async (args) =>
          (await callModern(http, args, {}, { meta: META })).answer.result.structuredContent,
      };
    },
  ],
];

/** A simulated API whose agents do as they are told, and a server and a client before it. */
export async function openLeg(open: Open, options: ServeOptions = {}): Promise<Leg> {
  const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual", ...options });
  onTestFinished(() => served.close());
  return { api: served.api, ...(await open(served.url)) };
}
