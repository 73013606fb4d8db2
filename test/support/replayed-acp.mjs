#!/usr/bin/env node
// Plays a recorded agent of the Agent Client Protocol: `replayed-acp.mjs <recording>`. Each frame of the agent is written
// when the frames of its host before it have come: a request of the same method, or the answer to the same request. What
// the host says is written into said.jsonl in the folder. When all has been played it waits for the end of its input.
import { appendFileSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const frames = JSON.parse(readFileSync(process.argv[2], "utf8"));
/** Ids of the recording's requests, and those that the host has given them now. */
const ids = new Map();
let at = 0;

function play() {
  for (; frames[at]?.dir === "<"; at++) {
    const { msg } = frames[at];
    const isAnswer = msg.method === undefined;
    process.stdout.write(`${JSON.stringify(isAnswer ? { ...msg, id: ids.get(msg.id) } : msg)}\n`);
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    appendFileSync("said.jsonl", `${line}\n`);
    const message = JSON.parse(line);
    const wanted = frames[at]?.msg;
    if (!wanted) return;
    const fits =
      wanted.method === undefined
        ? message.method === undefined && message.id === wanted.id
        : message.method === wanted.method;
    if (!fits) {
      // What was not asked when it was recorded.
      const isNew = message.method && !frames.some(({ msg }) => msg.method === message.method);
      if (isNew) process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: message.id, result: {} })}\n`);
      return;
    }
    if (wanted.method !== undefined) ids.set(wanted.id, message.id);
    at++;
    play();
  })
  .on("close", () => process.exit(0));
