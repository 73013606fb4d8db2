/**
 * A local engine on a fixed port, which resumes what is interrupted, whose agents do what SCRIPTED_AGENT says, to be killed by a test. Started as a process:
 *
 *     serve-engine.mjs <folder> <allowed folder> <port> <agent's program>
 */
import { writeSync } from "node:fs";
import { startLocalEngine } from "../support/local-engine.js";

const [folder = "", allowed = "", port = "0", claudePath = ""] = process.argv.slice(2);
const { SCRIPTED_AGENT = "" } = process.env;
await startLocalEngine(
  folder,
  { engineAllowedFolders: [allowed], claudePath, engineResume: "once" },
  { SCRIPTED_AGENT },
  { port: Number(port) },
);
writeSync(1, "listening\n");
