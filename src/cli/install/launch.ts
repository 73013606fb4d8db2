import { PACKAGE_NAME } from "./names.js";

/** How a client starts the server: a program and its arguments, without a shell. */
export interface Launch {
  command: string;
  args: string[];
}

/**
 * How the server is started from a client's configuration.
 *
 * An installed package or a checkout: this Node and this script by their whole paths, because a client that was not
 * started from a shell has another PATH, and because nothing is downloaded before the client's patience ends
 * (openai/codex gave up after 10 s, affaan-m/ECC#544). From npx, whose folder is not there to stay, and in a file
 * that others share: `npx`, on Windows through `cmd`, as no program starts `npx.cmd` without a shell since Node's
 * fix of CVE-2024-27980 (modelcontextprotocol/servers#3460, anthropics/claude-code#68221).
 * @param options.script the absolute path of the running `cli.js`
 * @param options.node the absolute path of the running Node
 * @param options.shared the file is shared with people on other machines
 */
export function chooseLaunch(options: {
  script: string;
  node: string;
  platform: NodeJS.Platform;
  shared: boolean;
}): Launch {
  const { script, node, platform, shared } = options;
  const installed = /[\\/]node_modules[\\/]/.test(script);
  const passing = /[\\/]_npx[\\/]/.test(script);
  if (!passing && !(shared && installed)) return { command: node, args: [script] };
  const npx = ["npx", "-y", PACKAGE_NAME];
  return platform === "win32"
    ? { command: "cmd", args: ["/c", ...npx] }
    : { command: "npx", args: npx.slice(1) };
}
