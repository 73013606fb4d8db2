/**
 * Lints the published tools of both toolsets with the MCP Inspector's own rules: `npm run lint:schemas`. A warning
 * counts as an error. Like the conformance suite it is fetched rather than depended on: it is 110 MB and needs
 * Node 22.19, which is fetched too when this Node is older.
 */
import { execFile } from "node:child_process";
import { binOf, findNode, installScratch } from "./scratch-packages.js";
import { BIN, prepareProduct } from "./serve-product.js";

const INSPECTOR = { name: "@modelcontextprotocol/inspector", version: "2.12.0", node: "22.19" };

async function lint(node: string, script: string, toolset: string): Promise<boolean> {
  const { variables, env, close } = await prepareProduct({ TOOLSET: toolset });
  try {
    const settings = Object.entries(variables).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
    const asked = ["--method", "tools/list", "--strict"];
    const args = [script, "--cli", process.execPath, BIN, ...settings, ...asked];
    const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>(
      (resolve, reject) =>
        execFile(node, args, { env }, (error, stdout, stderr) => {
          // A word instead of a number: it could not be run at all.
          if (typeof error?.code === "string") reject(error);
          else resolve({ code: error ? (error.code ?? 1) : 0, stdout, stderr });
        }),
    );
    const tools = code === 0 ? (JSON.parse(stdout) as { tools: unknown[] }).tools.length : 0;
    const isClean = tools > 0 && !/^(?:Warning|Error):/m.test(stderr);
    if (!isClean) process.stdout.write(stderr);
    process.stdout.write(`${isClean ? "ok  " : "FAIL"} toolset ${toolset}: ${tools} tools listed\n`);
    return isClean;
  } finally {
    await close();
  }
}

const node = findNode(INSPECTOR.node);
const script = binOf(installScratch(INSPECTOR.name, INSPECTOR.version), "mcp-inspector");
let isClean = true;
for (const toolset of ["super", "named"]) isClean = (await lint(node, script, toolset)) && isClean;
process.exit(isClean ? 0 : 1);
