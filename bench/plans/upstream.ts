/**
 * The workflows API whose runs plans are made of, in a process of its own: the simulated API, which has to be asked.
 * Tells its parent where it listens, when each start came, by its session's name, and how many requests came.
 *
 *     upstream.ts PACE_MS TURNS
 */
import { serveSimulatedApi } from "../../mocks/serve.js";
import { type FromUpstream, timeOfDay } from "./messages.js";

const tell = (message: FromUpstream) => process.send?.(message);
const [paceMs = 0, turns = 1] = process.argv.slice(2).map(Number);
let asked = 0;

const { url, api } = await serveSimulatedApi({
  apiKey: "key",
  describe: true,
  script({ body }) {
    tell({ type: "start", name: body.session_name ?? "", at: timeOfDay() });
    return {
      paceMs,
      costUsd: 0.1,
      result: "Done.",
      actions: Array.from({ length: turns }, (_, at) => `Step ${at + 1}`),
    };
  },
});
setInterval(() => {
  asked += api.requests.filter(({ method }) => method === "GET").length;
  api.requests.length = 0;
}, 100).unref();

process.on("message", () => {
  tell({ type: "requests", count: asked });
  asked = 0;
});
process.on("disconnect", () => process.exit());
tell({ type: "ready", url });
