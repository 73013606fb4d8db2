/** Takes one lock, says so, and holds it until a line comes in. Started by the tests as a process. */
import { once } from "node:events";
import { writeSync } from "node:fs";
import { createSessionLocks } from "../../src/sessions/store/session-lock.js";

const [folder = "", name = ""] = process.argv.slice(2);
const lock = await createSessionLocks({ folder }).acquire(name);
writeSync(1, "held\n");
await once(process.stdin, "data");
writeSync(1, "releasing\n");
await lock.release();
process.exit(0);
