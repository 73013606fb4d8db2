import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { type Settings, SettingsError } from "../../settings/settings.js";
import { parseTokens, type Token } from "../../settings/tokens.js";
import { isLoopback } from "../../shared/http/loopback.js";
import { assertClosed, assertOwn, NotPrivateError } from "../../shared/private-files.js";

/**
 * The tokens that the command `serve` is to ask for, from the variable or the file.
 * @throws SettingsError when they cannot be read, when others could reach the server without one, and when settings
 * contradict one another
 */
export function settleTokens(settings: Settings): readonly Token[] {
  const { tokens: given, tokensFile, httpHost } = settings;
  if (given && tokensFile) {
    throw new SettingsError(
      "AUTOMAGIK_WORKFLOWS_TOKENS and AUTOMAGIK_WORKFLOWS_TOKENS_FILE are both set: only one of them can count",
    );
  }
  if (settings.callerKeys === "on" && settings.engine === "local") {
    throw new SettingsError(
      "AUTOMAGIK_WORKFLOWS_CALLER_KEYS: callers cannot bring keys of their own to the engine on this machine; leave one of the two off",
    );
  }
  const tokens = given ?? (tokensFile === undefined ? [] : readTokensFile(tokensFile));
  if (tokens.length === 0 && !isLoopback(httpHost)) {
    throw new SettingsError(
      `${httpHost} can be reached from other machines, so tokens are needed: set AUTOMAGIK_WORKFLOWS_TOKENS or AUTOMAGIK_WORKFLOWS_TOKENS_FILE`,
    );
  }
  return tokens;
}

function readTokensFile(path: string): Token[] {
  const refuse = (why: string) => new SettingsError(`AUTOMAGIK_WORKFLOWS_TOKENS_FILE: the file ${why}`);
  let text: string;
  try {
    text = readOwnFile(path);
  } catch (error) {
    if (error instanceof NotPrivateError)
      throw new SettingsError(`AUTOMAGIK_WORKFLOWS_TOKENS_FILE: ${error.message}`);
    throw refuse(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    return parseTokens(text);
  } catch (error) {
    throw refuse((error as Error).message);
  }
}

/**
 * The text of a file of secrets, looked at after it was opened. One of root's may be readable by all: that is how
 * Docker and Kubernetes hand secrets to a container.
 */
function readOwnFile(path: string): string {
  const fd = openSync(path, "r");
  try {
    const found = fstatSync(fd);
    assertOwn(found, "the file", true);
    const isHandedOver = found.uid === 0 && process.geteuid?.() !== 0;
    // A group may be one that was made for it, as long as it cannot write.
    assertClosed(found, "the file", isHandedOver ? 0o022 : 0o027);
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}
